/** Loaded before a program (node --import): libpcap refuses every filter, the last thing that a start needs. */
import cap from 'cap';

cap.Cap.prototype.open = () => {
  throw new Error('the filter is refused');
};
