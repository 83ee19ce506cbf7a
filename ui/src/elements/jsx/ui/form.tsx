// Fields of react-hook-form, with their labels, hints and errors tied to them.
import { Label, Slot } from 'radix-ui';
import { createContext, forwardRef, useContext, useId } from 'react';
import { Controller, FormProvider, useFormContext, useFormState, type ControllerProps } from 'react-hook-form';

import { cn, type PartProps } from './part';

const Name = createContext('');
const Id = createContext('');

export const Form = FormProvider;

export function FormField(props: ControllerProps) {
  return (
    <Name.Provider value={props.name}>
      <Controller {...props} />
    </Name.Provider>
  );
}

export function useFormField() {
  const name = useContext(Name);
  const id = useContext(Id);
  const { getFieldState } = useFormContext();
  const state = getFieldState(name, useFormState({ name }));
  return { id, name, formItemId: `${id}-item`, formDescriptionId: `${id}-hint`, formMessageId: `${id}-error`, ...state };
}

export const FormItem = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => (
  <Id.Provider value={useId()}>
    <div ref={ref} className={cn('ui-form-item', className)} {...rest} />
  </Id.Provider>
));
FormItem.displayName = 'FormItem';

export const FormLabel = forwardRef<HTMLLabelElement, PartProps>(({ className, ...rest }, ref) => {
  const { error, formItemId } = useFormField();
  return <Label.Root ref={ref} htmlFor={formItemId} className={cn('ui-label', error && 'ui-form-error', className)} {...rest} />;
});
FormLabel.displayName = 'FormLabel';

export const FormControl = forwardRef<HTMLElement, PartProps>((props, ref) => {
  const { error, formItemId, formDescriptionId, formMessageId } = useFormField();
  return (
    <Slot.Root
      ref={ref}
      id={formItemId}
      aria-describedby={error ? `${formDescriptionId} ${formMessageId}` : formDescriptionId}
      aria-invalid={!!error}
      {...props}
    />
  );
});
FormControl.displayName = 'FormControl';

export const FormDescription = forwardRef<HTMLParagraphElement, PartProps>(({ className, ...rest }, ref) => (
  <p ref={ref} id={useFormField().formDescriptionId} className={cn('ui-form-hint', className)} {...rest} />
));
FormDescription.displayName = 'FormDescription';

export const FormMessage = forwardRef<HTMLParagraphElement, PartProps>(({ className, children, ...rest }, ref) => {
  const { error, formMessageId } = useFormField();
  const told = error ? String(error.message ?? '') : children;
  if (!told) return null;
  return (
    <p ref={ref} id={formMessageId} className={cn('ui-form-message', className)} {...rest}>
      {told}
    </p>
  );
});
FormMessage.displayName = 'FormMessage';
