// Icons that an app names: Lucide's, fetched when they are asked for, or pictures at a URL.
import { Icon as Drawn, type IconNode } from 'lucide-react';
import { useEffect, useState } from 'react';
import letters from 'virtual:icons/*';

import { rooted } from './route';

const known: Record<string, IconNode> = {};

/** "arrow-right", however it is written. */
function kebab(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
}

function Named({ id }: { id: string }) {
  const [node, setNode] = useState<IconNode | undefined>(known[id]);
  useEffect(() => {
    let gone = false;
    setNode(known[id]);
    void letters[id[0]]?.().then((module) => {
      Object.assign(known, module.default);
      if (!gone) setNode(known[id]);
    });
    return () => {
      gone = true;
    };
  }, [id]);
  return node ? <Drawn iconNode={node} className="icon" aria-hidden /> : <span className="icon" />;
}

export function Icon({ name }: { name: string | null | undefined }) {
  if (!name) return null;
  if (/[/.]/.test(name)) return <img className="icon" src={rooted(name)} alt="" />;
  return <Named id={kebab(name)} />;
}
