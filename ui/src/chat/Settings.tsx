// The form of the chat's settings, in a dialog or beside the chat. The app hears each edit, and the
// values when they are confirmed; widgets that it sends meanwhile begin with their own values.
import { chatSettingsInputsState, chatSettingsValueState, useChatInteract, useChatSession } from '@chainlit/react-client';
import { X } from 'lucide-react';
import { Tabs } from 'radix-ui';
import { useEffect, useState } from 'react';
import { useRecoilState, useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Button, IconButton, Modal } from '../kit';
import { Field, useSettings, type Values, type Widget } from './Widgets';

function cleaned(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([id, value]) => [id, value === '' ? null : value]));
}

function useForm() {
  const { widgets } = useSettings();
  const { session } = useChatSession();
  const { updateChatSettings } = useChatInteract();
  const sent = useRecoilValue(chatSettingsInputsState) as unknown;
  const [kept, setKept] = useRecoilState<Values>(chatSettingsValueState);
  const initial: Values = Object.fromEntries(widgets.map((widget) => [widget.id, widget.initial ?? null]));
  const [values, setValues] = useState<Values>({ ...initial, ...kept });
  useEffect(() => setValues({ ...initial, ...kept }), [sent, kept]);
  return {
    values,
    reset: () => setValues(initial),
    edit: (id: string, value: unknown) => {
      const next = { ...values, [id]: value };
      setValues(next);
      session?.socket.emit('chat_settings_edit', next);
    },
    confirm: () => {
      setKept(cleaned(values));
      updateChatSettings(cleaned(values));
    },
  };
}

function Form({ onDone }: { onDone: () => void }) {
  const t = useText();
  const { widgets, tabs } = useSettings();
  const { values, reset, edit, confirm } = useForm();
  const fields = (list: Widget[]) =>
    list.map((widget) => (
      <Field key={widget.id} widget={widget} value={values[widget.id]} onChange={(value) => edit(widget.id, value)} />
    ));
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    confirm();
    onDone();
  };
  return (
    <form className="settings" onSubmit={submit}>
      {tabs.length ? (
        <Tabs.Root className="tabs" defaultValue={tabs[0].id}>
          <Tabs.List>
            {tabs.map((tab) => (
              <Tabs.Trigger key={tab.id} value={tab.id}>
                {tab.label}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          {tabs.map((tab) => (
            <Tabs.Content key={tab.id} value={tab.id} tabIndex={-1}>
              {fields(tab.inputs)}
            </Tabs.Content>
          ))}
        </Tabs.Root>
      ) : (
        fields(widgets)
      )}
      <div className="row end">
        <Button onClick={reset}>{t('common.actions.reset')}</Button>
        <Button look="main" type="submit">
          {t('common.actions.confirm')}
        </Button>
      </div>
    </form>
  );
}

interface Props {
  open: boolean;
  onClose: () => void;
}

export function SettingsDialog({ open, onClose }: Props) {
  const t = useText();
  const { widgets } = useSettings();
  return (
    <Modal title={t('chat.settings.title')} open={open && widgets.length > 0} onClose={onClose}>
      <Form onDone={onClose} />
    </Modal>
  );
}

/** Stays open when the values are confirmed. */
export function SettingsPanel({ open, onClose }: Props) {
  const t = useText();
  const { widgets } = useSettings();
  if (!open || !widgets.length) return null;
  return (
    <aside className="side-panel" aria-label={t('chat.settings.title')}>
      <header>
        <h2>{t('chat.settings.title')}</h2>
        <IconButton label={t('common.actions.close')} onClick={onClose}>
          <X />
        </IconButton>
      </header>
      <div className="scroll">
        <Form onDone={() => undefined} />
      </div>
    </aside>
  );
}
