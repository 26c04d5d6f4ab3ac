/** Draws a viewport's grey values through a custom function instead of Cornerstone's own windows, with WebGL and without. */
import type { StackViewport, Types } from '@cornerstonejs/core';
import { onCpu } from './engine';
import { brightness, type Node } from './voi';

/** Puts `nodes` between values and brightness of what the viewport shows. */
export function shade(viewport: StackViewport, nodes: readonly Node[], inverted: boolean): void {
  if (onCpu()) shadeOnCpu(viewport, nodes, inverted);
  else shadeOnGpu(viewport, nodes, inverted);
}

function shadeOnGpu(viewport: StackViewport, nodes: readonly Node[], inverted: boolean): void {
  const actor = viewport.getDefaultActor()?.actor as Types.ImageActor | undefined;
  const transfer = actor?.getProperty().getRGBTransferFunction(0);
  if (!actor || !transfer) return;
  actor.getMapper().setColorTextureWidth(nodes.length > 2 ? 8192 : 1024);
  transfer.setNodes(
    nodes.map(([x, y]) => {
      const level = inverted ? 1 - y : y;
      return { x, r: level, g: level, b: level, midpoint: 0.5, sharpness: 0 };
    }),
  );
}

/** Parameters that Cornerstone passes to an image that draws itself. */
interface Drawn {
  readonly canvas: HTMLCanvasElement;
  readonly image: Types.IImage;
  readonly viewport: { readonly pixelReplication: boolean };
  readonly transform: { readonly getMatrix: () => readonly [number, number, number, number, number, number] };
}

type SelfDrawn = Omit<Types.IImage, 'render'> & { render?: (drawn: Drawn) => void };

/** Without WebGL Cornerstone looks up whole numbers only, by LINEAR: the image gets a drawing function of its own. */
function shadeOnCpu(viewport: StackViewport, nodes: readonly Node[], inverted: boolean): void {
  const image = viewport.getCornerstoneImage() as SelfDrawn | undefined;
  if (!image || image.color) return;
  const picture = new OffscreenCanvas(image.columns, image.rows);
  picture.getContext('2d')?.putImageData(greyPicture(image, nodes, inverted), 0, 0);
  image.render = ({ canvas, viewport: how, transform }) => {
    const context = canvas.getContext('2d');
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = 'black';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = !how.pixelReplication;
    context.setTransform(...transform.getMatrix());
    context.drawImage(picture, 0, 0);
  };
}

function greyPicture(
  image: Pick<Types.IImage, 'columns' | 'rows' | 'getPixelData'>,
  nodes: readonly Node[],
  inverted: boolean,
): ImageData {
  const values = image.getPixelData();
  const out = new ImageData(image.columns, image.rows);
  const pixels = new Uint32Array(out.data.buffer);
  const level = (value: number): number => {
    const grey = Math.round((inverted ? 1 - brightness(nodes, value) : brightness(nodes, value)) * 255);
    return 0xff000000 | (grey << 16) | (grey << 8) | grey;
  };
  const table = new Map<number, number>();
  for (let at = 0; at < pixels.length; at++) {
    const value = values[at] as number;
    let found = table.get(value);
    if (found === undefined) {
      found = level(value);
      table.set(value, found);
    }
    pixels[at] = found;
  }
  return out;
}
