// Sorts the methods by a column; anchors stay on top, cells without a number go last.
for (const header of document.querySelectorAll('.card thead th[aria-sort]')) {
  header.querySelector('button').addEventListener('click', () => {
    const falls = header.getAttribute('aria-sort') !== 'descending';
    for (const other of header.parentElement.querySelectorAll('[aria-sort]')) other.setAttribute('aria-sort', 'none');
    header.setAttribute('aria-sort', falls ? 'descending' : 'ascending');
    const body = header.closest('table').tBodies[0];
    const column = header.cellIndex;
    const key = (row) => {
      const text = row.cells[column].dataset.key;
      return text === undefined ? null : Number(text);
    };
    const methods = [...body.querySelectorAll('tr.method')];
    methods.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return falls ? y - x : x - y;
    });
    body.append(...methods);
  });
}
