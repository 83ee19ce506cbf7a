// Keys that the app wants from each user, kept in this browser.
import { useState } from 'react';

import { useText } from './i18n';
import { Button } from './kit';
import { go } from './route';

const KEY = 'clrun-env';

function all(): Record<string, string> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, string>;
  } catch {
    return {};
  }
}

export function keptEnv(keys: string[]): Record<string, string> {
  const kept = all();
  return Object.fromEntries(keys.filter((key) => kept[key]).map((key) => [key, kept[key]]));
}

export function EnvPage({ keys, masked }: { keys: string[]; masked: boolean }) {
  const t = useText();
  const [values, setValues] = useState(() => keptEnv(keys));
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    localStorage.setItem(KEY, JSON.stringify({ ...all(), ...values }));
    go('/');
  };
  return (
    <main className="card-page">
      <form className="card" onSubmit={submit}>
        <h1>{t('apiKeys.title')}</h1>
        <p className="soft">{t('apiKeys.description')}</p>
        {keys.map((key) => (
          <label key={key} className="field">
            <span>{key}</span>
            <input
              required
              type={masked ? 'password' : 'text'}
              autoComplete="off"
              value={values[key] ?? ''}
              onChange={(event) => setValues({ ...values, [key]: event.target.value })}
            />
          </label>
        ))}
        <Button look="main" type="submit">
          {t('common.actions.continue')}
        </Button>
      </form>
    </main>
  );
}
