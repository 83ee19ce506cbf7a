export const Nothing = () => <b>not the default</b>;
