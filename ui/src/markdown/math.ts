// Maths, fetched when features.latex is on and a text has a dollar sign.
import 'katex/dist/katex.min.css';

import rehypeKatex from 'rehype-katex';
import remarkMath from 'remark-math';

export const remark = remarkMath;
export const rehype = rehypeKatex;
