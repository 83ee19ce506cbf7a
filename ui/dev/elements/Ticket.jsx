import { Badge } from '@/components/ui/badge';
import { Button } from '@/components/ui/button';
import { Card, CardContent, CardFooter, CardHeader, CardTitle } from '@/components/ui/card';
import { Progress } from '@/components/ui/progress';
import { ArrowRight, Loader2Icon, TicketCheck as Mark, X } from 'lucide-react';
import { useState } from 'react';
import { toast } from 'sonner';

const STATES = { open: 'secondary', closed: 'default' };

export default function Ticket() {
  const [clicks, setClicks] = useState(0);
  const { title, state = 'open', done } = props;
  return (
    <Card className="w-full max-w-md shadow-sm">
      <CardHeader className="flex flex-row items-center justify-between gap-2 pb-2">
        <CardTitle className="flex items-center gap-2 text-lg">
          <Mark className="h-6 w-6 text-primary" data-testid="mark" />
          {title}
        </CardTitle>
        <Badge variant={STATES[state]}>{state}</Badge>
      </CardHeader>
      <CardContent className="space-y-3">
        <p className="mt-4 text-sm text-muted-foreground">{`Clicked ${clicks} times.`}</p>
        <Progress value={done} aria-label="Done" />
        <div className="grid grid-cols-2 gap-2 md:grid-cols-[1fr_2fr]">
          <span className="rounded-md border p-2 dark:bg-red-900">Left</span>
          <span className="rounded-md bg-emerald-100 p-2 text-emerald-900 hover:bg-emerald-200">Right</span>
        </div>
      </CardContent>
      <CardFooter className="flex-wrap gap-2">
        <Button onClick={() => setClicks(clicks + 1)}>Count</Button>
        <Button variant="outline" onClick={() => updateElement({ ...props, state: 'closed', done: 100 })}>
          Close it
        </Button>
        <Button variant="secondary" onClick={() => callAction({ name: 'assign', payload: { to: 'ada' } })}>
          Assign <ArrowRight />
        </Button>
        <Button variant="ghost" onClick={() => sendUserMessage(`about ${title}`)}>
          Ask
        </Button>
        <Button variant="ghost" onClick={() => toast.success('Saved', { description: title })}>
          <Loader2Icon className="animate-spin" /> Save
        </Button>
        <Button variant="destructive" size="icon" aria-label="Delete" onClick={() => deleteElement()}>
          <X />
        </Button>
      </CardFooter>
    </Card>
  );
}
