export default function Unclosed() {
  return <div>;
}
