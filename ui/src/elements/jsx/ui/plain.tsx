// Parts that are tags with a look: buttons, cards, fields for text, tables.
import { ChevronLeft, ChevronRight, Ellipsis } from 'lucide-react';
import { Separator as RadixSeparator, Slot } from 'radix-ui';
import { forwardRef } from 'react';

import { useText } from '../../../i18n';
import { cn, part, type PartProps } from './part';

interface Looks {
  variant?: string | null;
  size?: string | null;
  className?: string;
}

export function buttonVariants({ variant, size, className }: Looks = {}): string {
  return cn('ui-button', `ui-button-${variant ?? 'default'}`, `ui-button-size-${size ?? 'default'}`, className);
}

export const Button = forwardRef<HTMLButtonElement, PartProps & Looks & { asChild?: boolean }>(
  ({ variant, size, className, asChild, ...rest }, ref) => {
    const Tag = asChild ? Slot.Root : 'button';
    return <Tag ref={ref} className={buttonVariants({ variant, size, className })} {...rest} />;
  },
);
Button.displayName = 'Button';

export function badgeVariants({ variant, className }: Looks = {}): string {
  return cn('ui-badge', `ui-badge-${variant ?? 'default'}`, className);
}

export const Badge = forwardRef<HTMLDivElement, PartProps & Looks & { asChild?: boolean }>(
  ({ variant, className, asChild, ...rest }, ref) => {
    const Tag = asChild ? Slot.Root : 'div';
    return <Tag ref={ref} className={badgeVariants({ variant, className })} {...rest} />;
  },
);
Badge.displayName = 'Badge';

export const Card = part('div', 'ui-card');
export const CardHeader = part('div', 'ui-card-header');
export const CardTitle = part('div', 'ui-card-title');
export const CardDescription = part('div', 'ui-card-description');
export const CardAction = part('div', 'ui-card-action');
export const CardContent = part('div', 'ui-card-content');
export const CardFooter = part('div', 'ui-card-footer');

export const Input = part('input', 'ui-input');
export const Textarea = part('textarea', 'ui-input ui-textarea');
export const Skeleton = part('div', 'ui-skeleton', { 'aria-hidden': true });
export const Separator = part(RadixSeparator.Root, 'ui-separator', { decorative: true });

export const Alert = forwardRef<HTMLDivElement, PartProps & Looks>(({ variant, className, ...rest }, ref) => (
  <div ref={ref} role="alert" className={cn('ui-alert', variant === 'destructive' && 'ui-alert-destructive', className)} {...rest} />
));
Alert.displayName = 'Alert';
export const AlertTitle = part('div', 'ui-alert-title');
export const AlertDescription = part('div', 'ui-alert-description');

const TableTag = part('table', 'ui-table');
export const Table = forwardRef<unknown, PartProps>((props, ref) => (
  <div className="ui-table-box">
    <TableTag ref={ref} {...props} />
  </div>
));
Table.displayName = 'Table';
export const TableHeader = part('thead', 'ui-table-header');
export const TableBody = part('tbody', 'ui-table-body');
export const TableFooter = part('tfoot', 'ui-table-footer');
export const TableRow = part('tr', 'ui-table-row');
export const TableHead = part('th', 'ui-table-head');
export const TableCell = part('td', 'ui-table-cell');
export const TableCaption = part('caption', 'ui-table-caption');

export const Pagination = part('nav', 'ui-pagination', { 'aria-label': 'pagination' });
export const PaginationContent = part('ul', 'ui-pagination-content');
export const PaginationItem = part('li', '');

export const PaginationLink = forwardRef<HTMLAnchorElement, PartProps & Looks & { isActive?: boolean }>(
  ({ isActive, size = 'icon', className, ...rest }, ref) => (
    <a
      ref={ref}
      aria-current={isActive ? 'page' : undefined}
      className={buttonVariants({ variant: isActive ? 'outline' : 'ghost', size, className })}
      {...rest}
    />
  ),
);
PaginationLink.displayName = 'PaginationLink';

export function PaginationPrevious({ children, ...rest }: PartProps) {
  const t = useText();
  return (
    <PaginationLink size="default" {...rest}>
      <ChevronLeft aria-hidden />
      <span>{children ?? t('common.actions.previous')}</span>
    </PaginationLink>
  );
}

export function PaginationNext({ children, ...rest }: PartProps) {
  const t = useText();
  return (
    <PaginationLink size="default" {...rest}>
      <span>{children ?? t('common.actions.next')}</span>
      <ChevronRight aria-hidden />
    </PaginationLink>
  );
}

export function PaginationEllipsis({ className, ...rest }: PartProps) {
  return (
    <span aria-hidden className={cn('ui-pagination-ellipsis', className)} {...rest}>
      <Ellipsis />
    </span>
  );
}
