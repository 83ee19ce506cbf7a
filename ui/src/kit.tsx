// The few parts that the page is put together from, over Radix's accessible primitives.
import { Dialog, DropdownMenu, VisuallyHidden } from 'radix-ui';
import { X } from 'lucide-react';
import { forwardRef, type ButtonHTMLAttributes, type ReactNode } from 'react';

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { look?: 'plain' | 'main' | 'danger' };

export const Button = forwardRef<HTMLButtonElement, ButtonProps>(
  ({ look = 'plain', className = '', ...rest }, ref) => (
    <button ref={ref} type="button" className={`button ${look} ${className}`} {...rest} />
  ),
);

type IconProps = ButtonHTMLAttributes<HTMLButtonElement> & { label: string };

/** A button that shows an icon alone; its label is for screen readers and the tooltip. */
export const IconButton = forwardRef<HTMLButtonElement, IconProps>(
  ({ label, className = '', ...rest }, ref) => (
    <button ref={ref} type="button" className={`icon-button ${className}`} aria-label={label} title={label} {...rest} />
  ),
);

interface ModalProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
  description?: string;
  wide?: boolean;
}

export function Modal({ title, open, onClose, children, description, wide }: ModalProps) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className={`modal ${wide ? 'wide' : ''}`} {...(description ? {} : { 'aria-describedby': undefined })}>
          <header>
            <Dialog.Title>{title}</Dialog.Title>
            <Dialog.Close asChild>
              <IconButton label="Close">
                <X />
              </IconButton>
            </Dialog.Close>
          </header>
          {description && <Dialog.Description className="soft">{description}</Dialog.Description>}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

interface DrawerProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** What stands beside the chat on a wide screen comes over it from the left on a narrow one. */
export function Drawer({ title, open, onClose, children }: DrawerProps) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className="drawer" aria-describedby={undefined}>
          <VisuallyHidden.Root>
            <Dialog.Title>{title}</Dialog.Title>
          </VisuallyHidden.Root>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

export interface MenuItem {
  label: string;
  onPick: () => void;
  icon?: ReactNode;
  danger?: boolean;
}

export function Menu({ trigger, items, side = 'bottom' }: { trigger: ReactNode; items: MenuItem[]; side?: 'top' | 'bottom' }) {
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" side={side} align="start" sideOffset={6} collisionPadding={8}>
          {items.map((item) => (
            <DropdownMenu.Item key={item.label} className={item.danger ? 'danger' : ''} onSelect={item.onPick}>
              {item.icon}
              {item.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
