import { ChainlitContext, type ChainlitAPI, type IAuthConfig } from '@chainlit/react-client';
import { useContext, useEffect, useState } from 'react';

import { useText, type Translate } from './i18n';
import { Button } from './kit';
import { ENDPOINT } from './route';
import { useTheme } from './theme';

// The texts' keys: a reason comes in any case.
const REASONS = [
  'signin',
  'oauthSignin',
  'redirectUriMismatch',
  'oauthCallback',
  'oauthCreateAccount',
  'emailCreateAccount',
  'callback',
  'oauthAccountNotLinked',
  'emailSignin',
  'emailVerify',
  'credentialsSignin',
  'sessionRequired',
];

function explain(t: Translate, reason: string): string {
  const key = REASONS.find((one) => one.toLowerCase() === reason.toLowerCase()) ?? 'default';
  const wrong = key === 'credentialsSignin';
  return t(`auth.login.errors.${key}`, wrong ? 'Name or password is wrong' : 'You could not be logged in');
}

const NAMES: Record<string, string> = { github: 'GitHub', gitlab: 'GitLab', 'azure-ad': 'Microsoft', 'azure-ad-hybrid': 'Microsoft' };

function nameOf(provider: string): string {
  if (NAMES[provider]) return NAMES[provider];
  return provider.replace(/(^|-)(\w)/g, (_, dash: string, letter: string) => (dash ? ' ' : '') + letter.toUpperCase());
}

/** Asks the proxy in front for the user, where one names users by headers. */
function useHeaderAuth(api: ChainlitAPI, wanted: boolean, onDone: () => unknown, onFail: (reason: string) => void) {
  useEffect(() => {
    if (!wanted) return;
    api.headerAuth().then(onDone, (error: { detail?: string }) => onFail(error.detail ?? 'default'));
  }, [api, wanted]);
}

export function Login({ auth, onDone }: { auth: IAuthConfig; onDone: () => unknown }) {
  const t = useText();
  const api = useContext(ChainlitContext);
  const { shown } = useTheme();
  const [error, setError] = useState(() => new URLSearchParams(window.location.search).get('error'));
  const [busy, setBusy] = useState(false);
  useHeaderAuth(api, auth.headerAuth, onDone, setError);

  const submit = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    try {
      // Not by the client library: it would send a 401 to this page again.
      const answer = await fetch(`${ENDPOINT}/login`, { method: 'POST', body: data, credentials: 'include' });
      if (!answer.ok) throw new Error(((await answer.json()) as { detail?: string }).detail);
      await onDone();
    } catch (failed) {
      setError((failed as Error).message || 'default');
    } finally {
      setBusy(false);
    }
  };

  const providers = auth.oauthProviders ?? [];
  return (
    <main className="card-page">
      <div className="card">
        <img className="logo" src={api.getLogoEndpoint(shown)} alt="" />
        <h1>{t('auth.login.title', 'Sign in')}</h1>
        {error && (
          <p className="notice error" role="alert">
            {explain(t, error)}
          </p>
        )}
        {auth.passwordAuth && (
          <form onSubmit={submit}>
            <label className="field">
              <span>{t('auth.login.form.email.label', 'Name or e-mail')}</span>
              <input name="username" required autoFocus autoComplete="username" />
            </label>
            <label className="field">
              <span>{t('auth.login.form.password.label', 'Password')}</span>
              <input name="password" type="password" required autoComplete="current-password" />
            </label>
            <Button look="main" type="submit" disabled={busy}>
              {t('auth.login.form.actions.signin', 'Sign in')}
            </Button>
          </form>
        )}
        {auth.passwordAuth && providers.length > 0 && (
          <p className="or">
            <span>{t('auth.login.form.alternativeText.or', 'or')}</span>
          </p>
        )}
        {providers.map((provider) => (
          <a key={provider} className="button plain" href={api.getOAuthEndpoint(provider)}>
            {t('auth.provider.continue', 'Continue with {{provider}}', { provider: nameOf(provider) })}
          </a>
        ))}
      </div>
    </main>
  );
}
