// HTML in a text, fetched when features.unsafe_allow_html is on and a text has a tag. The page's policy
// lets no script of it run.
export { default as rehype } from 'rehype-raw';
