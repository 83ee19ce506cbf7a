import { Button } from '@/components/ui/button';
import { Form, FormControl, FormDescription, FormField, FormItem, FormLabel, FormMessage } from '@/components/ui/form';
import { Input } from '@/components/ui/input';
import { useForm } from 'react-hook-form';
import { z } from 'zod';

const Town = z.string().min(2, 'Too short');

export default function Delivery() {
  const form = useForm({ defaultValues: props });
  const check = (value) => Town.safeParse(value).error?.issues[0].message ?? true;
  return (
    <Form {...form}>
      <form onSubmit={form.handleSubmit((values) => submitElement(values))} className="max-w-sm space-y-4">
        <FormField
          control={form.control}
          name="town"
          rules={{ validate: check }}
          render={({ field }) => (
            <FormItem>
              <FormLabel>Town</FormLabel>
              <FormControl>
                <Input {...field} />
              </FormControl>
              <FormDescription>Where it goes</FormDescription>
              <FormMessage />
            </FormItem>
          )}
        />
        <Button type="submit">Deliver</Button>
        <Button type="button" variant="ghost" onClick={cancelElement}>
          Never mind
        </Button>
      </form>
    </Form>
  );
}
