import axios from 'axios';

export default () => <b>{axios.name}</b>;
