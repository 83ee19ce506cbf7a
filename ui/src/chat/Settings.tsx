// The form of chat settings: widgets, perhaps in tabs, whose values the app hears when confirmed.
import { chatSettingsInputsState, chatSettingsValueState, useChatInteract } from '@chainlit/react-client';
import { Slider, Switch, Tabs } from 'radix-ui';
import { useEffect, useState } from 'react';
import { useRecoilState, useRecoilValue } from 'recoil';

import { useText } from '../i18n';
import { Button, Modal } from '../kit';

type Value = unknown;
type Values = Record<string, Value>;
interface Widget {
  id: string;
  type: string;
  label: string;
  initial?: Value;
  description?: string | null;
  tooltip?: string | null;
  disabled?: boolean;
  items?: { label: string; value: string }[];
  min?: number;
  max?: number;
  step?: number;
  placeholder?: string | null;
  multiline?: boolean;
  mode?: 'single' | 'range';
  min_date?: string | null;
  max_date?: string | null;
}
interface Tab {
  id: string;
  label: string;
  inputs: Widget[];
}

function isTab(entry: Widget | Tab): entry is Tab {
  return 'inputs' in entry && entry.inputs.length > 0;
}

export function useSettings(): { widgets: Widget[]; tabs: Tab[] } {
  const entries = (useRecoilValue(chatSettingsInputsState) as (Widget | Tab)[] | undefined) ?? [];
  const tabs = entries.filter(isTab);
  return { tabs, widgets: tabs.length ? tabs.flatMap((tab) => tab.inputs) : (entries as Widget[]) };
}

interface FieldProps {
  widget: Widget;
  value: Value;
  onChange: (value: Value) => void;
}

const day = (value: Value) => (typeof value === 'string' ? value.slice(0, 10) : '');
const instant = (value: string) => (value ? new Date(value).toISOString() : null);

function Control({ widget, value, onChange }: FieldProps) {
  const { id, disabled, items = [] } = widget;
  const shared = { id, disabled };
  const list = Array.isArray(value) ? (value as string[]) : [];
  const toggle = (item: string) => onChange(list.includes(item) ? list.filter((one) => one !== item) : [...list, item]);
  switch (widget.type) {
    case 'switch':
      return (
        <Switch.Root {...shared} className="switch" checked={Boolean(value)} onCheckedChange={onChange}>
          <Switch.Thumb />
        </Switch.Root>
      );
    case 'checkbox':
      return <input {...shared} type="checkbox" checked={Boolean(value)} onChange={(e) => onChange(e.target.checked)} />;
    case 'slider':
      return (
        <div className="row">
          <Slider.Root
            className="slide"
            disabled={disabled}
            min={widget.min}
            max={widget.max}
            step={widget.step}
            value={[Number(value)]}
            onValueChange={([next]) => onChange(next)}
          >
            <Slider.Track>
              <Slider.Range />
            </Slider.Track>
            <Slider.Thumb aria-label={widget.label} />
          </Slider.Root>
          <output>{String(value)}</output>
        </div>
      );
    case 'select':
      return (
        <select {...shared} value={(value as string) ?? ''} onChange={(e) => onChange(e.target.value)}>
          {(value === null || value === undefined) && <option value="" />}
          {items.map((item) => (
            <option key={item.value} value={item.value}>
              {item.label}
            </option>
          ))}
        </select>
      );
    case 'radio':
    case 'multiselect':
      return (
        <div className="choices" role={widget.type === 'radio' ? 'radiogroup' : 'group'} aria-label={widget.label}>
          {items.map((item) => (
            <label key={item.value}>
              <input
                type={widget.type === 'radio' ? 'radio' : 'checkbox'}
                name={id}
                disabled={disabled}
                checked={widget.type === 'radio' ? value === item.value : list.includes(item.value)}
                onChange={() => (widget.type === 'radio' ? onChange(item.value) : toggle(item.value))}
              />
              {item.label}
            </label>
          ))}
        </div>
      );
    case 'tags':
      return <Tags {...shared} values={list} onChange={onChange} label={widget.label} />;
    case 'datepicker': {
      const limits = { min: day(widget.min_date), max: day(widget.max_date), disabled };
      if (widget.mode !== 'range') {
        return <input {...shared} {...limits} type="date" value={day(value)} onChange={(e) => onChange(instant(e.target.value))} />;
      }
      const [from, to] = list;
      return (
        <div className="row">
          <input id={id} {...limits} type="date" value={day(from)} onChange={(e) => onChange([instant(e.target.value), to])} />
          –
          <input {...limits} aria-label={`${widget.label}, end`} type="date" value={day(to)} onChange={(e) => onChange([from, instant(e.target.value)])} />
        </div>
      );
    }
    default: {
      const text = {
        ...shared,
        placeholder: widget.placeholder ?? undefined,
        value: value === null || value === undefined ? '' : String(value),
        onChange: (e: { target: { value: string } }) => onChange(e.target.value),
      };
      if (widget.multiline) return <textarea {...text} rows={4} />;
      return <input {...text} type={widget.type === 'numberinput' ? 'number' : 'text'} step="any" />;
    }
  }
}

interface TagsProps {
  id: string;
  label: string;
  values: string[];
  disabled?: boolean;
  onChange: (values: string[]) => void;
}

function Tags({ id, label, values, disabled, onChange }: TagsProps) {
  const [draft, setDraft] = useState('');
  const add = () => {
    const next = draft.trim();
    if (next && !values.includes(next)) onChange([...values, next]);
    setDraft('');
  };
  const keys = (event: React.KeyboardEvent) => {
    if (event.key === 'Enter' || event.key === ',') {
      event.preventDefault();
      add();
    } else if (event.key === 'Backspace' && !draft) {
      onChange(values.slice(0, -1));
    }
  };
  return (
    <div className="tag-box">
      {values.map((value) => (
        <button key={value} disabled={disabled} aria-label={`Remove ${value}`} onClick={() => onChange(values.filter((one) => one !== value))}>
          {value} <span aria-hidden>×</span>
        </button>
      ))}
      <input id={id} aria-label={label} disabled={disabled} value={draft} onChange={(e) => setDraft(e.target.value)} onKeyDown={keys} onBlur={add} />
    </div>
  );
}

function Field(props: FieldProps) {
  const { widget } = props;
  return (
    <div className={`field ${widget.type}`} title={widget.tooltip ?? undefined}>
      <label htmlFor={widget.id}>{widget.label}</label>
      <Control {...props} />
      {widget.description && <p className="soft">{widget.description}</p>}
    </div>
  );
}

export function SettingsDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const t = useText();
  const { widgets, tabs } = useSettings();
  const { updateChatSettings } = useChatInteract();
  const [kept, setKept] = useRecoilState<Values>(chatSettingsValueState);
  const [values, setValues] = useState<Values>({});
  const initial = Object.fromEntries(widgets.map((widget) => [widget.id, widget.initial ?? null]));
  useEffect(() => {
    if (open) setValues({ ...initial, ...kept });
  }, [open]);

  const confirm = () => {
    const clean = Object.fromEntries(Object.entries(values).map(([id, value]) => [id, value === '' ? null : value]));
    setKept(clean);
    updateChatSettings(clean);
    onClose();
  };
  const fields = (list: Widget[]) =>
    list.map((widget) => (
      <Field
        key={widget.id}
        widget={widget}
        value={values[widget.id] ?? null}
        onChange={(value) => setValues((old) => ({ ...old, [widget.id]: value }))}
      />
    ));
  return (
    <Modal title={t('chat.settings.title', 'Settings')} open={open} onClose={onClose}>
      {tabs.length ? (
        <Tabs.Root defaultValue={tabs[0].id} className="tabs">
          <Tabs.List aria-label={t('chat.settings.title', 'Settings')}>
            {tabs.map((tab) => (
              <Tabs.Trigger key={tab.id} value={tab.id}>
                {tab.label}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          {tabs.map((tab) => (
            <Tabs.Content key={tab.id} value={tab.id}>
              {fields(tab.inputs)}
            </Tabs.Content>
          ))}
        </Tabs.Root>
      ) : (
        fields(widgets)
      )}
      <div className="row end">
        <Button onClick={() => setValues(initial)}>{t('common.actions.reset', 'Reset')}</Button>
        <Button look="main" onClick={confirm}>
          {t('common.actions.confirm', 'Confirm')}
        </Button>
      </div>
    </Modal>
  );
}
