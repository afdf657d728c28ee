// Adds to the page what has happened since it was made. Without this script the page refreshes itself.
const address = document.body.dataset.stream;
if (address) {
	const stream = new EventSource(address);
	stream.addEventListener("arrow", message => {
		const { step, id, html } = JSON.parse(message.data);
		const old = document.getElementById(id);
		if (!old) {
			document.getElementById("step-" + step).insertAdjacentHTML("beforeend", html);
		} else if (!old.contains(document.activeElement) && !old.querySelector("details").open) {
			old.outerHTML = html; // somebody who is reading it is not disturbed
		}
	});
	stream.addEventListener("state", message => {
		const state = document.getElementById("state"), here = state.contains(document.activeElement);
		state.innerHTML = JSON.parse(message.data).html;
		if (here) {
			state.focus(); // what had the focus is gone
		}
	});
	stream.addEventListener("summary", message => {
		document.getElementById("summary").innerHTML = JSON.parse(message.data).html;
		stream.close();
	});
}
