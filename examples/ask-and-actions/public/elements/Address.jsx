// The same form as a React component. The page takes Address.js, as both are there; Chainlit's own
// (--ui chainlit) knows this kind alone.
import { Button } from '@/components/ui/button';
import { Input } from '@/components/ui/input';
import { useState } from 'react';

export default function Address() {
  const [street, setStreet] = useState(props.street);
  const [town, setTown] = useState(props.town);
  return (
    <div className="flex flex-col gap-3 max-w-sm">
      <Input placeholder="Street" value={street} onChange={(event) => setStreet(event.target.value)} />
      <Input placeholder="Town" value={town} onChange={(event) => setTown(event.target.value)} />
      <Button onClick={() => submitElement({ street, town })}>Deliver there</Button>
    </div>
  );
}
