// Every page loads this: styles, htmx, live updates, tables, dialogs, toasts.
import '../styles/main.css';
