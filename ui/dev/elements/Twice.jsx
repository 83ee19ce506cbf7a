const seats = 1;
const seats = 2;
export default () => <b>{seats}</b>;
