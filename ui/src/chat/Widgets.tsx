// One control for each kind of widget of the chat's settings.
import { chatSettingsInputsState } from '@chainlit/react-client';
import { X } from 'lucide-react';
import { Slider, Switch } from 'radix-ui';
import { useState } from 'react';
import { useRecoilValue } from 'recoil';

import { useText } from '../i18n';

type Value = unknown;
export type Values = Record<string, Value>;
export interface Widget {
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
export interface Tab {
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
  const t = useText();
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
          <input {...limits} aria-label={t('chat.settings.until', { label: widget.label })} type="date" value={day(to)} onChange={(e) => onChange([from, instant(e.target.value)])} />
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
  const t = useText();
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
        <button key={value} disabled={disabled} aria-label={t('common.actions.remove', { name: value })} onClick={() => onChange(values.filter((one) => one !== value))}>
          {value} <X aria-hidden />
        </button>
      ))}
      <input id={id} aria-label={label} disabled={disabled} value={draft} onChange={(e) => setDraft(e.target.value)} onKeyDown={keys} onBlur={add} />
    </div>
  );
}

export function Field(props: FieldProps) {
  const { widget } = props;
  return (
    <div className={`field ${widget.type}`} title={widget.tooltip ?? undefined}>
      <label htmlFor={widget.id}>{widget.label}</label>
      <Control {...props} />
      {widget.description && <p className="soft">{widget.description}</p>}
    </div>
  );
}
