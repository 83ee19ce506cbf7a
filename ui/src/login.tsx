import { ChainlitContext, type ChainlitAPI, type IAuthConfig } from '@chainlit/react-client';
import { useContext, useEffect, useState } from 'react';

import { useText, type Translate } from './i18n';
import { Button } from './kit';
import { ENDPOINT, rooted } from './route';
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
] as const;

function explain(t: Translate, reason: string): string {
  const key = REASONS.find((one) => one.toLowerCase() === reason.toLowerCase()) ?? 'default';
  return t(`auth.login.errors.${key}`);
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
    // Its answer is not the user, which onDone would take it for.
    api.headerAuth().then(() => void onDone(), (error: { detail?: string }) => onFail(error.detail ?? 'default'));
  }, [api, wanted]);
}

interface LoginUi {
  login_page_image?: string | null;
  login_page_image_filter?: string | null;
  login_page_image_dark_filter?: string | null;
}

/** The app's own picture beside the form. Its filters are the names of a few CSS classes. */
function Picture({ ui, dark }: { ui: LoginUi | undefined; dark: boolean }) {
  const { login_page_image: image, login_page_image_filter, login_page_image_dark_filter } = ui ?? {};
  if (!image) return null;
  const filter = (dark && login_page_image_dark_filter) || login_page_image_filter || '';
  return <img className={`login-image ${filter}`} src={rooted(image)} alt="" />;
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
      <Picture ui={auth.ui as LoginUi | undefined} dark={shown === 'dark'} />
      <div className="card">
        <img className="logo" src={api.getLogoEndpoint(shown)} alt="" />
        <h1>{t('auth.login.title')}</h1>
        {error && (
          <p className="notice error" role="alert">
            {explain(t, error)}
          </p>
        )}
        {auth.passwordAuth && (
          <form onSubmit={submit}>
            <label className="field">
              <span>{t('auth.login.form.email.label')}</span>
              <input name="username" required autoFocus autoComplete="username" />
            </label>
            <label className="field">
              <span>{t('auth.login.form.password.label')}</span>
              <input name="password" type="password" required autoComplete="current-password" />
            </label>
            <Button look="main" type="submit" disabled={busy}>
              {t('auth.login.form.actions.signin')}
            </Button>
          </form>
        )}
        {auth.passwordAuth && providers.length > 0 && (
          <p className="or">
            <span>{t('auth.login.form.alternativeText.or')}</span>
          </p>
        )}
        {providers.map((provider) => (
          <a key={provider} className="button plain" href={api.getOAuthEndpoint(provider)}>
            {t('auth.provider.continue', { provider: nameOf(provider) })}
          </a>
        ))}
      </div>
    </main>
  );
}
