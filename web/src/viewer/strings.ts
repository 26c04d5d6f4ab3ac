/** Words of the viewer go through the shell's catalog. */
export { t } from '../shell/i18n';
