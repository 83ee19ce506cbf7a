export default (node, { props, submit }) => {
  for (let seat = 1; seat <= props.seats; seat++) {
    const button = document.createElement('button');
    button.className = 'button plain';
    button.textContent = 'Seat ' + seat;
    button.onclick = () => submit({ seat });
    node.append(button, ' ');
  }
};
