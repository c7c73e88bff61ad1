import { withPathModel } from './path-model.js';

describe('withPathModel', () => {
  it.each([
    [{ a: 1 }, false, 'path'],
    [{ model: null }, false, 'path'],
    [{ model: '' }, false, 'path'],
    [{ model: 'body' }, false, 'body'],
    [{ model: 7 }, false, 7],
    [{ a: 1 }, true, 'path'],
    [{ model: 'body' }, true, 'path'],
  ])('takes the model of %j, where the path overrides %p, to be %p', (body, overridesBody, model) => {
    expect(withPathModel(body, { name: 'path', overridesBody })).toMatchObject({ model });
  });

  it('leaves a body alone where the path names no model', () => {
    const body = { a: 1 };
    expect(withPathModel(body, null)).toBe(body);
  });
});
