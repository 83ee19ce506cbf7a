import { Unicorn } from 'lucide-react';

export default () => <Unicorn />;
