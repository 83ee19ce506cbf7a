// Parts that hold others, and show how far something is.
import { ChevronDown } from 'lucide-react';
import {
  Accordion as Radix,
  AspectRatio as RadixAspectRatio,
  Avatar as RadixAvatar,
  Collapsible as RadixCollapsible,
  Progress as RadixProgress,
  Tabs as RadixTabs,
} from 'radix-ui';
import { forwardRef } from 'react';

import { cn, part, type PartProps } from './part';

export const Accordion = Radix.Root;
export const AccordionItem = part(Radix.Item, 'ui-accordion-item');

export const AccordionTrigger = forwardRef<HTMLButtonElement, PartProps>(({ className, children, ...rest }, ref) => (
  <Radix.Header className="ui-accordion-header">
    <Radix.Trigger ref={ref} className={cn('ui-accordion-trigger', className)} {...rest}>
      {children}
      <ChevronDown className="ui-faint" />
    </Radix.Trigger>
  </Radix.Header>
));
AccordionTrigger.displayName = 'AccordionTrigger';

export const AccordionContent = forwardRef<HTMLDivElement, PartProps>(({ className, children, ...rest }, ref) => (
  <Radix.Content ref={ref} className="ui-accordion-content" {...rest}>
    <div className={cn('ui-accordion-inner', className)}>{children}</div>
  </Radix.Content>
));
AccordionContent.displayName = 'AccordionContent';

export const Collapsible = RadixCollapsible.Root;
export const CollapsibleTrigger = RadixCollapsible.Trigger;
export const CollapsibleContent = RadixCollapsible.Content;

export const AspectRatio = RadixAspectRatio.Root;

export const Avatar = part(RadixAvatar.Root, 'ui-avatar');
export const AvatarImage = part(RadixAvatar.Image, 'ui-avatar-image');
export const AvatarFallback = part(RadixAvatar.Fallback, 'ui-avatar-fallback');

export const Progress = forwardRef<HTMLDivElement, PartProps & { value?: number | null; max?: number }>(
  ({ className, value, max = 100, ...rest }, ref) => (
    <RadixProgress.Root ref={ref} value={value} max={max} className={cn('ui-progress', className)} {...rest}>
      <RadixProgress.Indicator className="ui-progress-bar" style={{ width: `${(100 * (value ?? 0)) / max}%` }} />
    </RadixProgress.Root>
  ),
);
Progress.displayName = 'Progress';

// Not Radix's viewport, which brings a style element that the page's policy refuses; the browser
// scrolls as well.
export const ScrollArea = part('div', 'ui-scroll', { tabIndex: 0 });
export const ScrollBar = () => null;

export const Tabs = part(RadixTabs.Root, 'ui-tabs');
export const TabsList = part(RadixTabs.List, 'ui-tabs-list');
export const TabsTrigger = part(RadixTabs.Trigger, 'ui-tabs-trigger');
export const TabsContent = part(RadixTabs.Content, 'ui-tabs-content');
