// Parts that are chosen or moved: check boxes, switches, lists, sliders.
import { Check, ChevronDown, ChevronUp } from 'lucide-react';
import { Checkbox as RadixCheckbox, Label as RadixLabel, RadioGroup as Radios, Select as RadixSelect, Slider as RadixSlider, Switch as RadixSwitch } from 'radix-ui';
import { forwardRef } from 'react';

import { NONCE } from '../../../nonce';
import { portal } from '../portal';
import { cn, part, type PartProps } from './part';

export const Label = part(RadixLabel.Root, 'ui-label');

export const Checkbox = forwardRef<HTMLButtonElement, PartProps>(({ className, ...rest }, ref) => (
  <RadixCheckbox.Root ref={ref} className={cn('ui-checkbox', className)} {...rest}>
    <RadixCheckbox.Indicator className="ui-checkbox-mark">
      <Check />
    </RadixCheckbox.Indicator>
  </RadixCheckbox.Root>
));
Checkbox.displayName = 'Checkbox';

export const Switch = forwardRef<HTMLButtonElement, PartProps>(({ className, ...rest }, ref) => (
  <RadixSwitch.Root ref={ref} className={cn('ui-switch', className)} {...rest}>
    <RadixSwitch.Thumb className="ui-switch-thumb" />
  </RadixSwitch.Root>
));
Switch.displayName = 'Switch';

export const RadioGroup = part(Radios.Root, 'ui-radio-group');
export const RadioGroupItem = forwardRef<HTMLButtonElement, PartProps & { value: string }>(
  ({ className, ...rest }, ref) => (
    <Radios.Item ref={ref} className={cn('ui-radio', className)} {...rest}>
      <Radios.Indicator className="ui-radio-mark" />
    </Radios.Item>
  ),
);
RadioGroupItem.displayName = 'RadioGroupItem';

interface SliderProps extends PartProps {
  'aria-label'?: string;
  'aria-labelledby'?: string;
  value?: number[];
  defaultValue?: number[];
  min?: number;
}

/** A name that is given to it is its thumbs'; they are what one moves. */
export const Slider = forwardRef<HTMLSpanElement, SliderProps>(
  ({ className, 'aria-label': label, 'aria-labelledby': labelledBy, ...rest }, ref) => {
    const values = rest.value ?? rest.defaultValue ?? [rest.min ?? 0];
    return (
      <RadixSlider.Root ref={ref} className={cn('ui-slider', className)} {...rest}>
        <RadixSlider.Track className="ui-slider-track">
          <RadixSlider.Range className="ui-slider-range" />
        </RadixSlider.Track>
        {values.map((_, at) => (
          <RadixSlider.Thumb
            key={at}
            className="ui-slider-thumb"
            aria-label={label}
            aria-labelledby={labelledBy}
          />
        ))}
      </RadixSlider.Root>
    );
  },
);
Slider.displayName = 'Slider';

export const Select = RadixSelect.Root;
export const SelectGroup = RadixSelect.Group;
export const SelectValue = RadixSelect.Value;
export const SelectLabel = part(RadixSelect.Label, 'ui-menu-label');
export const SelectSeparator = part(RadixSelect.Separator, 'ui-menu-separator');

export const SelectTrigger = forwardRef<HTMLButtonElement, PartProps>(({ className, children, ...rest }, ref) => (
  <RadixSelect.Trigger ref={ref} className={cn('ui-input ui-select', className)} {...rest}>
    {children}
    <RadixSelect.Icon asChild>
      <ChevronDown className="ui-faint" />
    </RadixSelect.Icon>
  </RadixSelect.Trigger>
));
SelectTrigger.displayName = 'SelectTrigger';

export function SelectScrollUpButton({ className, ...rest }: PartProps) {
  return (
    <RadixSelect.ScrollUpButton className={cn('ui-select-scroll', className)} {...rest}>
      <ChevronUp />
    </RadixSelect.ScrollUpButton>
  );
}

export function SelectScrollDownButton({ className, ...rest }: PartProps) {
  return (
    <RadixSelect.ScrollDownButton className={cn('ui-select-scroll', className)} {...rest}>
      <ChevronDown />
    </RadixSelect.ScrollDownButton>
  );
}

export const SelectContent = forwardRef<HTMLDivElement, PartProps & { position?: 'popper' | 'item-aligned' }>(
  ({ className, children, position = 'popper', ...rest }, ref) => (
    <RadixSelect.Portal container={portal()}>
      <RadixSelect.Content ref={ref} position={position} sideOffset={4} className={cn('ui-menu', className)} {...rest}>
        <SelectScrollUpButton />
        <RadixSelect.Viewport nonce={NONCE} className={cn(position === 'popper' && 'ui-select-view')}>
          {children}
        </RadixSelect.Viewport>
        <SelectScrollDownButton />
      </RadixSelect.Content>
    </RadixSelect.Portal>
  ),
);
SelectContent.displayName = 'SelectContent';

export const SelectItem = forwardRef<HTMLDivElement, PartProps & { value: string }>(
  ({ className, children, ...rest }, ref) => (
    <RadixSelect.Item ref={ref} className={cn('ui-menu-item', className)} {...rest}>
      <RadixSelect.ItemText>{children}</RadixSelect.ItemText>
      <RadixSelect.ItemIndicator className="ui-menu-mark">
        <Check />
      </RadixSelect.ItemIndicator>
    </RadixSelect.Item>
  ),
);
SelectItem.displayName = 'SelectItem';
