// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
// Says in the reader's own time when the tunnel ends, and how long that is.
(() => {
	const ends = document.getElementById('ends');
	if (ends === null)
		return;
	const at = new Date(ends.dateTime);
	const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
	ends.textContent = at.toLocaleString();

	function say() {
		const left = Math.round((at - Date.now()) / 1000);
		if (left <= 0) {
			document.getElementById('left').textContent = '(over)';
			return;
		}
		// The two greatest units that there are any of, "1 hour 5 minutes".
		const first = units.findIndex(([, seconds]) => left >= seconds);
		let rest = left;
		const words = units.slice(first, first + 2).map(([name, seconds]) => {
			const n = Math.floor(rest / seconds);
			rest -= n * seconds;
			return n === 0 ? '' : `${n} ${name}${n === 1 ? '' : 's'}`;
		});
		document.getElementById('left').textContent = `(${words.join(' ').trim()} left)`;
		setTimeout(say, 1000);
	}
	say();
})();
