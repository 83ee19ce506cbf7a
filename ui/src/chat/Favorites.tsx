import { Star, X } from 'lucide-react';
import { Popover } from 'radix-ui';
import { useState } from 'react';

import { useText } from '../i18n';
import { IconButton } from '../kit';
import { useFavorites, useHasFavorites } from './extras';

/** The messages that someone has starred, to be written again. */
export function Favorites({ onUse }: { onUse: (text: string) => void }) {
  const t = useText();
  const has = useHasFavorites();
  const { favorites, setFavorite } = useFavorites();
  const [open, setOpen] = useState(false);
  if (!has) return null;
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <IconButton label={t('chat.favorites.use')}>
          <Star />
        </IconButton>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="menu favorites" side="top" align="start" sideOffset={6} collisionPadding={8} aria-label={t('chat.favorites.headline')}>
          <h2>{t('chat.favorites.headline')}</h2>
          {favorites.length === 0 && (
            <p className="soft">
              {t('chat.favorites.empty.title')}
              <br />
              {t('chat.favorites.empty.description')}
            </p>
          )}
          <ul>
            {favorites.map((step) => (
              <li key={step.id}>
                <button
                  type="button"
                  onClick={() => {
                    setOpen(false);
                    onUse(step.output);
                  }}
                >
                  {step.output}
                </button>
                <IconButton label={t('chat.favorites.remove')} onClick={() => setFavorite(step, false)}>
                  <X />
                </IconButton>
              </li>
            ))}
          </ul>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
