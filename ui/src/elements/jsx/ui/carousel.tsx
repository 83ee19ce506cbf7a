// Pictures or cards side by side, of which the browser scrolls to one.
import { ArrowLeft, ArrowRight } from 'lucide-react';
import { createContext, forwardRef, useContext, useMemo, useRef, type RefObject } from 'react';

import { useText } from '../../../i18n';
import { cn, part, type PartProps } from './part';
import { buttonVariants } from './plain';

interface Band {
  box: RefObject<HTMLDivElement>;
  upright: boolean;
}
const Context = createContext<Band | undefined>(undefined);

function useBand(): Band {
  const band = useContext(Context);
  if (!band) throw new Error('outside of a Carousel');
  return band;
}

interface CarouselProps extends PartProps {
  orientation?: 'horizontal' | 'vertical';
  opts?: unknown;
  plugins?: unknown;
  setApi?: unknown;
}

export function Carousel({ className, orientation, opts: _opts, plugins: _plugins, setApi: _setApi, ...rest }: CarouselProps) {
  const box = useRef<HTMLDivElement>(null);
  const upright = orientation === 'vertical';
  const band = useMemo(() => ({ box, upright }), [upright]);
  return (
    <Context.Provider value={band}>
      <section aria-roledescription="carousel" className={cn('ui-carousel', className)} {...rest} />
    </Context.Provider>
  );
}

export const CarouselContent = forwardRef<HTMLDivElement, PartProps>(({ className, ...rest }, ref) => {
  const { box, upright } = useBand();
  return (
    <div ref={box} className="ui-carousel-band" data-upright={upright || undefined} tabIndex={0}>
      <div ref={ref} className={cn('ui-carousel-content', className)} {...rest} />
    </div>
  );
});
CarouselContent.displayName = 'CarouselContent';

export const CarouselItem = part('div', 'ui-carousel-item', { role: 'group', 'aria-roledescription': 'slide' });

function Step({ by, className, ...rest }: PartProps & { by: 1 | -1 }) {
  const t = useText();
  const { box, upright } = useBand();
  const step = () => {
    const band = box.current;
    if (band) band.scrollBy(upright ? { top: by * band.clientHeight } : { left: by * band.clientWidth });
  };
  return (
    <button
      type="button"
      aria-label={t(by > 0 ? 'common.actions.next' : 'common.actions.previous')}
      onClick={step}
      className={buttonVariants({
        variant: 'outline',
        size: 'icon',
        className: cn('ui-carousel-step', by > 0 && 'ui-carousel-next', className),
      })}
      {...rest}
    >
      {by > 0 ? <ArrowRight /> : <ArrowLeft />}
    </button>
  );
}

export function CarouselPrevious(props: PartProps) {
  return <Step by={-1} {...props} />;
}

export function CarouselNext(props: PartProps) {
  return <Step by={1} {...props} />;
}
