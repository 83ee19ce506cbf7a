// Splits Markdown at its top level, so that a text that grows is parsed anew only in its last block.

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const ITEM = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/;
// A definition or a footnote is seen from every block: such a text stays whole.
const GLOBAL = /^ {0,3}\[[^\]]+\]:/m;

export function splitBlocks(text: string): string[] {
  if (GLOBAL.test(text)) return [text];
  const blocks: string[] = [];
  let block: string[] = [];
  let fence = ''; // the open fence, '$$' or ':::'
  let list = false;
  let blank = false;
  for (const line of text.split('\n')) {
    const empty = line.trim() === '';
    const goesOn = list && (/^\s/.test(line) || ITEM.test(line));
    if (blank && !empty && !fence && !goesOn && block.length) {
      blocks.push(block.join('\n'));
      block = [];
    }
    if (!block.length) list = ITEM.test(line);
    block.push(line);
    fence = fenceAfter(line, fence);
    blank = empty;
  }
  if (block.length) blocks.push(block.join('\n'));
  return blocks;
}

function fenceAfter(line: string, open: string): string {
  if (open === ':::') return line.trim() === ':::' ? '' : open;
  if (open === '$$') return line.trim().endsWith('$$') ? '' : open;
  const found = FENCE.exec(line)?.[1];
  if (open) {
    const closes = found && found[0] === open[0] && found.length >= open.length && line.trim() === found;
    return closes ? '' : open;
  }
  if (found) return found;
  if (/^:::\s*[\w-]/.test(line)) return ':::';
  const bare = line.trim();
  return bare.startsWith('$$') && !(bare.length > 2 && bare.endsWith('$$')) ? '$$' : '';
}

/** Closes what the last block has opened so far, so that its end does not flicker as it grows. */
export function mend(block: string): string {
  if (FENCE.test(block) || /^(\$\$|:::)/.test(block)) return block;
  // A table is one from its second row on; the first would be seen as a paragraph until then.
  if (/^\|[^\n]*(\n[|\s:-]*)?$/.test(block) && !/\n\|[\s:-]+\|/.test(block)) return '';
  const codes = block.match(/`/g)?.length ?? 0;
  if (codes % 2) return `${block}\``;
  const linked = block.replace(/!?\[([^\]\n]*)\]\([^)\s]*$/, '$1'); // a link whose end is to come
  const stars = linked.replace(/`[^`]*`/g, '').match(/\*\*/g)?.length ?? 0;
  const end = linked.trimEnd();
  if (stars % 2 === 0) return linked;
  return end.endsWith('**') ? end.slice(0, -2) : `${end}**`;
}
