// The app's commands, by a button, a menu or a slash, and the modes that a message is sent in.
import type { ICommand } from '@chainlit/react-client';
import { ChevronDown, Command, X } from 'lucide-react';
import { useEffect, useState } from 'react';

import { useText } from '../i18n';
import { Icon } from '../icon';
import { Choices, IconButton, Menu } from '../kit';
import { useModes, type Mode } from './extras';

export interface Choosing {
  commands: ICommand[];
  chosen: ICommand | undefined;
  choose: (command: ICommand | undefined) => void;
}

/** The command of the next message; the app can choose one beforehand. */
export function useCommand(commands: ICommand[]): Choosing {
  const [chosen, choose] = useState<ICommand>();
  useEffect(() => choose(commands.find((one) => (one as { selected?: boolean }).selected)), [commands]);
  return { commands, chosen, choose };
}

/** Those that what is typed so far can become. */
export function matching({ commands, chosen }: Choosing, text: string): ICommand[] {
  if (chosen || !/^\/\S*$/.test(text)) return [];
  const start = text.slice(1).toLowerCase();
  return commands.filter((one) => one.id.toLowerCase().startsWith(start));
}

interface SlashProps {
  found: ICommand[];
  at: number;
  onTake: (command: ICommand) => void;
}

export const SLASH_LIST = 'commands';

/** What a slash can become. The keyboard stays in the text: see the composer. */
export function SlashList({ found, at, onTake }: SlashProps) {
  const t = useText();
  if (!found.length) return null;
  return (
    <div className="command-list" role="listbox" id={SLASH_LIST} aria-label={t('chat.commands.availableTools')}>
      {found.map((one, i) => (
        <div
          key={one.id}
          id={`${SLASH_LIST}-${i}`}
          role="option"
          aria-selected={i === at}
          onMouseDown={(event) => {
            event.preventDefault();
            onTake(one);
          }}
        >
          <Icon name={one.icon} />
          <strong>{one.id}</strong> <span className="soft">{one.description}</span>
        </div>
      ))}
    </div>
  );
}

export function Commands({ commands, chosen, choose }: Choosing) {
  const t = useText();
  const [buttons, others] = [commands.filter((one) => one.button), commands.filter((one) => !one.button)];
  return (
    <>
      {others.length > 0 && (
        <Menu
          side="top"
          trigger={
            <IconButton label={t('chat.commands.button')}>
              <Command />
            </IconButton>
          }
          items={others.map((one) => ({ label: one.id, icon: <Icon name={one.icon} />, onPick: () => choose(one) }))}
        />
      )}
      {buttons.map((one) => (
        <button
          key={one.id}
          type="button"
          className="chip"
          title={one.description}
          aria-pressed={chosen?.id === one.id}
          onClick={() => choose(chosen?.id === one.id ? undefined : one)}
        >
          <Icon name={one.icon} /> {one.id}
        </button>
      ))}
      {chosen && !chosen.button && (
        <button
          type="button"
          className="chip"
          aria-pressed
          onClick={() => choose(undefined)}
          aria-label={t('common.actions.remove', { name: chosen.id })}
        >
          <Icon name={chosen.icon} /> {chosen.id} <X />
        </button>
      )}
    </>
  );
}

export function Modes() {
  const { modes, chosen, choose } = useModes();
  return (
    <>
      {modes.map((mode) => (
        <ModeMenu key={mode.id} mode={mode} value={chosen[mode.id]} onPick={(option) => choose(mode.id, option)} />
      ))}
    </>
  );
}

function ModeMenu({ mode, value, onPick }: { mode: Mode; value: string; onPick: (option: string) => void }) {
  const option = mode.options.find((one) => one.id === value);
  return (
    <Choices
      side="top"
      value={value}
      onPick={onPick}
      choices={mode.options.map(({ id, name, description, icon }) => ({
        value: id,
        label: name,
        description,
        icon: <Icon name={icon} />,
      }))}
      trigger={
        <button type="button" className="chip quiet" title={mode.name} aria-label={`${mode.name}: ${option?.name}`}>
          <Icon name={option?.icon} /> {option?.name} <ChevronDown />
        </button>
      }
    />
  );
}
