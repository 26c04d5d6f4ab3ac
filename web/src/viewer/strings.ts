/** Words of the viewer go through the shell's catalog. */
export { t, tn } from '../shell/i18n';
