// Parts that come over the page. What floats stands in a place of its own (portal.ts).
import { Check, ChevronRight, Circle, X } from 'lucide-react';
import {
  Dialog as RadixDialog,
  DropdownMenu as RadixMenu,
  HoverCard as RadixHoverCard,
  Popover as RadixPopover,
  Tooltip as RadixTooltip,
} from 'radix-ui';
import { forwardRef, type ComponentProps } from 'react';

import { useText } from '../../../i18n';
import { portal } from '../portal';
import { cn, part, type PartProps } from './part';

export const Dialog = RadixDialog.Root;
export const DialogTrigger = RadixDialog.Trigger;
export const DialogClose = RadixDialog.Close;
export const DialogOverlay = part(RadixDialog.Overlay, 'ui-overlay');
export const DialogHeader = part('div', 'ui-dialog-header');
export const DialogFooter = part('div', 'ui-dialog-footer');
export const DialogTitle = part(RadixDialog.Title, 'ui-dialog-title');
export const DialogDescription = part(RadixDialog.Description, 'ui-dialog-description');

export function DialogPortal(props: PartProps) {
  return <RadixDialog.Portal container={portal()} {...props} />;
}

const sheetOf = (base: string) =>
  forwardRef<HTMLDivElement, PartProps & { side?: string }>(({ className, children, side = 'right', ...rest }, ref) => {
    const t = useText();
    return (
      <DialogPortal>
        <DialogOverlay />
        <RadixDialog.Content
          ref={ref}
          className={cn(base, base === 'ui-sheet' && `ui-sheet-${side}`, className)}
          aria-describedby={undefined}
          {...rest}
        >
          {children}
          <RadixDialog.Close className="ui-dialog-close" aria-label={t('common.actions.close')}>
            <X />
          </RadixDialog.Close>
        </RadixDialog.Content>
      </DialogPortal>
    );
  });

export const DialogContent = sheetOf('ui-dialog');
DialogContent.displayName = 'DialogContent';
export const SheetContent = sheetOf('ui-sheet');
SheetContent.displayName = 'SheetContent';
export {
  Dialog as Sheet,
  DialogTrigger as SheetTrigger,
  DialogClose as SheetClose,
  DialogOverlay as SheetOverlay,
  DialogPortal as SheetPortal,
  DialogHeader as SheetHeader,
  DialogFooter as SheetFooter,
  DialogTitle as SheetTitle,
  DialogDescription as SheetDescription,
};

export const Popover = RadixPopover.Root;
export const PopoverTrigger = RadixPopover.Trigger;
export const PopoverAnchor = RadixPopover.Anchor;
export const PopoverClose = RadixPopover.Close;
export const PopoverContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <RadixPopover.Portal container={portal()}>
    <RadixPopover.Content ref={ref} sideOffset={4} collisionPadding={8} className={cn('ui-popover', className)} {...rest} />
  </RadixPopover.Portal>
));
PopoverContent.displayName = 'PopoverContent';

export const HoverCard = RadixHoverCard.Root;
export const HoverCardTrigger = RadixHoverCard.Trigger;
export const HoverCardContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <RadixHoverCard.Portal container={portal()}>
    <RadixHoverCard.Content ref={ref} sideOffset={4} collisionPadding={8} className={cn('ui-popover', className)} {...rest} />
  </RadixHoverCard.Portal>
));
HoverCardContent.displayName = 'HoverCardContent';

export const TooltipProvider = RadixTooltip.Provider;
export const TooltipTrigger = RadixTooltip.Trigger;

/** With a provider of its own, for those that forget theirs. */
export function Tooltip(props: ComponentProps<typeof RadixTooltip.Root>) {
  return (
    <RadixTooltip.Provider delayDuration={300}>
      <RadixTooltip.Root {...props} />
    </RadixTooltip.Provider>
  );
}

export const TooltipContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <RadixTooltip.Portal container={portal()}>
    <RadixTooltip.Content ref={ref} sideOffset={4} collisionPadding={8} className={cn('ui-tooltip', className)} {...rest} />
  </RadixTooltip.Portal>
));
TooltipContent.displayName = 'TooltipContent';

export function DropdownMenu(props: ComponentProps<typeof RadixMenu.Root>) {
  return <RadixMenu.Root modal={false} {...props} />;
}
export const DropdownMenuTrigger = RadixMenu.Trigger;
export const DropdownMenuGroup = RadixMenu.Group;
export const DropdownMenuSub = RadixMenu.Sub;
export const DropdownMenuRadioGroup = RadixMenu.RadioGroup;
export const DropdownMenuLabel = part(RadixMenu.Label, 'ui-menu-label');
export const DropdownMenuSeparator = part(RadixMenu.Separator, 'ui-menu-separator');
export const DropdownMenuShortcut = part('span', 'ui-menu-shortcut');

export function DropdownMenuPortal(props: PartProps) {
  return <RadixMenu.Portal container={portal()} {...props} />;
}

export const DropdownMenuContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <DropdownMenuPortal>
    <RadixMenu.Content ref={ref} sideOffset={4} collisionPadding={8} className={cn('ui-menu', className)} {...rest} />
  </DropdownMenuPortal>
));
DropdownMenuContent.displayName = 'DropdownMenuContent';

export const DropdownMenuItem = forwardRef<HTMLDivElement, PartProps & { variant?: string; inset?: boolean }>(
  ({ className, variant, inset, ...rest }, ref) => (
    <RadixMenu.Item
      ref={ref}
      className={cn('ui-menu-item', variant === 'destructive' && 'ui-menu-danger', inset && 'ui-menu-inset', className)}
      {...rest}
    />
  ),
);
DropdownMenuItem.displayName = 'DropdownMenuItem';

export const DropdownMenuCheckboxItem = forwardRef<HTMLDivElement, PartProps>(({ className, children, ...rest }, ref) => (
  <RadixMenu.CheckboxItem ref={ref} className={cn('ui-menu-item', className)} {...rest}>
    {children}
    <RadixMenu.ItemIndicator className="ui-menu-mark">
      <Check />
    </RadixMenu.ItemIndicator>
  </RadixMenu.CheckboxItem>
));
DropdownMenuCheckboxItem.displayName = 'DropdownMenuCheckboxItem';

export const DropdownMenuRadioItem = forwardRef<HTMLDivElement, PartProps & { value: string }>(
  ({ className, children, ...rest }, ref) => (
    <RadixMenu.RadioItem ref={ref} className={cn('ui-menu-item', className)} {...rest}>
      {children}
      <RadixMenu.ItemIndicator className="ui-menu-mark">
        <Circle className="ui-menu-dot" />
      </RadixMenu.ItemIndicator>
    </RadixMenu.RadioItem>
  ),
);
DropdownMenuRadioItem.displayName = 'DropdownMenuRadioItem';

export const DropdownMenuSubTrigger = forwardRef<HTMLDivElement, PartProps>(({ className, children, ...rest }, ref) => (
  <RadixMenu.SubTrigger ref={ref} className={cn('ui-menu-item', className)} {...rest}>
    {children}
    <ChevronRight className="ui-menu-mark" />
  </RadixMenu.SubTrigger>
));
DropdownMenuSubTrigger.displayName = 'DropdownMenuSubTrigger';

export const DropdownMenuSubContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <DropdownMenuPortal>
    <RadixMenu.SubContent ref={ref} className={cn('ui-menu', className)} {...rest} />
  </DropdownMenuPortal>
));
DropdownMenuSubContent.displayName = 'DropdownMenuSubContent';
