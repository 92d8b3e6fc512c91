// Enlarges pictures of a page in a dialog: by a click, with the arrow keys from one to the next. The script is the only one
// that the page allows; it is named by its hash, so that no other can run.
import { sha256 } from '../hash.js';

const SCRIPT = `
(() => {
  const dialog = document.querySelector('dialog.zoomed');
  const [stage, caption] = dialog.querySelectorAll('.stage, p');
  const buttons = [...document.querySelectorAll('button.zoom')];
  let current = 0;
  const show = (index) => {
    current = (index + buttons.length) % buttons.length;
    const picture = buttons[current].firstElementChild.cloneNode(true);
    const width = Number(picture.getAttribute('width'));
    const height = Number(picture.getAttribute('height'));
    const room = Math.min((innerWidth - 48) / width, (innerHeight - 120) / height);
    const factor = room >= 1 && picture.localName === 'img' ? Math.floor(room) : room;
    picture.style.width = width * factor + 'px';
    picture.style.height = height * factor + 'px';
    stage.replaceChildren(picture);
    caption.textContent = buttons[current].dataset.caption;
  };
  buttons.forEach((button, index) => button.addEventListener('click', () => { show(index); dialog.showModal(); }));
  dialog.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => buttons[current].focus());
  dialog.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowRight') show(current + 1);
    if (key === 'ArrowLeft') show(current - 1);
  });
})();
`;

/** The dialog and its script, for the end of the body. */
export const ZOOM = `<dialog class="zoomed" aria-label="Enlarged picture">
<div class="stage"></div>
<p></p>
<button type="button" class="close" aria-label="Close">&#10005;</button>
</dialog>
<script>${SCRIPT}</script>`;

/** What a Content-Security-Policy calls the script. */
export const ZOOM_SOURCE = `'sha256-${Buffer.from(sha256(SCRIPT), 'hex').toString('base64')}'`;
