// Icons that an app names (Lucide's names, in kebab case). The set is fetched when one is asked for.
import { lazy, Suspense } from 'react';

const Named = lazy(() => import('./icon-set'));

export function Icon({ name }: { name: string | null | undefined }) {
  if (!name) return null;
  if (/[/.]/.test(name)) return <img className="icon" src={name} alt="" />;
  return (
    <Suspense fallback={<span className="icon" />}>
      <Named name={name} />
    </Suspense>
  );
}
