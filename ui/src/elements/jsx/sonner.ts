// `import { toast } from 'sonner'`: the page's own notices.
import { toast as notices } from '../../toast';

type Text = unknown;
interface Options {
  description?: Text;
}
type Show = (text: Text, options?: Options) => void;

const show = (plain: (text: unknown) => void): Show => (text, options) => {
  const said = typeof text === 'function' ? (text as () => Text)() : text;
  plain(options?.description ? `${said}: ${options.description}` : said);
};

interface Told<T> {
  loading?: Text;
  success?: Text | ((value: T) => Text);
  error?: Text | ((reason: unknown) => Text);
}

function promise<T>(given: Promise<T> | (() => Promise<T>), { loading, success, error }: Told<T>) {
  const told = typeof given === 'function' ? given() : given;
  if (loading) toast(loading);
  told.then(
    (value) => success && toast.success(typeof success === 'function' ? success(value) : success),
    (reason: unknown) => error && toast.error(typeof error === 'function' ? error(reason) : error),
  );
  return told;
}

export const toast = Object.assign(show(notices), {
  message: show(notices),
  info: show(notices.info),
  success: show(notices.success),
  warning: show(notices.warning),
  error: show(notices.error),
  loading: show(notices),
  promise,
  dismiss: () => undefined, // they go by themselves
});

/** The page has one already. */
export const Toaster = () => null;
