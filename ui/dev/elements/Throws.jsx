export default function Throws() {
  return <b>{props.list.length} of them</b>;
}
