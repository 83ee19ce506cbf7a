// The few parts that the page is put together from, over Radix's accessible primitives.
import { Check, X } from 'lucide-react';
import { Dialog, DropdownMenu, VisuallyHidden } from 'radix-ui';
import { forwardRef, type ButtonHTMLAttributes, type ReactNode } from 'react';

import { useText } from './i18n';

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

interface OverlayProps {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ReactNode;
}

interface ModalProps extends OverlayProps {
  description?: string;
  wide?: boolean;
}

export function Modal({ title, open, onClose, children, description, wide }: ModalProps) {
  const t = useText();
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="overlay" />
        <Dialog.Content className={`modal ${wide ? 'wide' : ''}`} {...(description ? {} : { 'aria-describedby': undefined })}>
          <header>
            <Dialog.Title>{title}</Dialog.Title>
            <Dialog.Close asChild>
              <IconButton label={t('common.actions.close')}>
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

interface ConfirmProps extends Omit<OverlayProps, 'children'> {
  description: string;
  action: string;
  danger?: boolean;
  onConfirm: () => void;
}

/** Asks before something is done. */
export function Confirm({ action, danger, onConfirm, ...modal }: ConfirmProps) {
  const t = useText();
  return (
    <Modal {...modal}>
      <div className="row end">
        <Button onClick={modal.onClose}>{t('common.actions.cancel')}</Button>
        <Button
          look={danger ? 'danger' : 'main'}
          onClick={() => {
            modal.onClose();
            onConfirm();
          }}
        >
          {action}
        </Button>
      </div>
    </Modal>
  );
}

/** What stands beside the chat on a wide screen comes over it from the left on a narrow one. */
export function Drawer({ title, open, onClose, children }: OverlayProps) {
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

interface MenuProps {
  trigger: ReactNode;
  children: ReactNode;
  side?: 'top' | 'bottom';
}

function MenuBox({ trigger, children, side = 'bottom' }: MenuProps) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" side={side} align="start" sideOffset={6} collisionPadding={8}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

export interface MenuItem {
  label: string;
  onPick: () => void;
  icon?: ReactNode;
  danger?: boolean;
}

export function Menu({ items, ...box }: Omit<MenuProps, 'children'> & { items: MenuItem[] }) {
  return (
    <MenuBox {...box}>
      {items.map((item) => (
        <DropdownMenu.Item key={item.label} className={item.danger ? 'danger' : ''} onSelect={item.onPick}>
          {item.icon}
          {item.label}
        </DropdownMenu.Item>
      ))}
    </MenuBox>
  );
}

export interface Choice {
  value: string;
  label: string;
  description?: ReactNode;
  icon?: ReactNode;
}

interface ChoicesProps extends Omit<MenuProps, 'children'> {
  choices: Choice[];
  value: string | undefined;
  onPick: (value: string) => void;
}

/** A menu of which one is chosen. */
export function Choices({ choices, value, onPick, ...box }: ChoicesProps) {
  return (
    <MenuBox {...box}>
      <DropdownMenu.RadioGroup value={value} onValueChange={onPick}>
        {choices.map((choice) => (
          <DropdownMenu.RadioItem key={choice.value} value={choice.value}>
            {choice.icon}
            <span className="grow">
              {choice.label}
              {choice.description && <span className="soft">{choice.description}</span>}
            </span>
            <DropdownMenu.ItemIndicator>
              <Check />
            </DropdownMenu.ItemIndicator>
          </DropdownMenu.RadioItem>
        ))}
      </DropdownMenu.RadioGroup>
    </MenuBox>
  );
}
