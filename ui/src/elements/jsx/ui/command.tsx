// A list that is searched as one types.
import { Command as Cmdk } from 'cmdk';
import { Search } from 'lucide-react';
import { forwardRef } from 'react';

import { useText } from '../../../i18n';
import { Dialog, DialogContent, DialogTitle } from './overlays';
import { cn, part, type PartProps } from './part';

export const Command = part(Cmdk, 'ui-command');
export const CommandList = part(Cmdk.List, 'ui-command-list');
export const CommandEmpty = part(Cmdk.Empty, 'ui-command-empty');
export const CommandGroup = part(Cmdk.Group, 'ui-command-group');
export const CommandItem = part(Cmdk.Item, 'ui-menu-item');
export const CommandSeparator = part(Cmdk.Separator, 'ui-menu-separator');
export const CommandShortcut = part('span', 'ui-menu-shortcut');

export const CommandInput = forwardRef<HTMLInputElement, PartProps>(({ className, ...rest }, ref) => (
  <div className="ui-command-search">
    <Search className="ui-faint" aria-hidden />
    <Cmdk.Input ref={ref} className={cn('ui-command-input', className)} {...rest} />
  </div>
));
CommandInput.displayName = 'CommandInput';

interface CommandDialogProps extends PartProps {
  open?: boolean;
  onOpenChange?: (open: boolean) => void;
  title?: string;
}

export function CommandDialog({ open, onOpenChange, title, children, ...rest }: CommandDialogProps) {
  const t = useText();
  return (
    <Dialog open={open} onOpenChange={onOpenChange}>
      <DialogContent className="ui-command-dialog">
        <DialogTitle className="unseen">{title ?? t('threadHistory.sidebar.filters.search')}</DialogTitle>
        <Command {...rest}>{children}</Command>
      </DialogContent>
    </Dialog>
  );
}
