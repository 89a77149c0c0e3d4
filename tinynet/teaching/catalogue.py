"""All that the doctor can find: a row says its severity and name, what was seen, and what to type.

What stands in braces is filled in by the check that makes the finding. Where a mistake shows in
several ways, a word in brackets behind the name tells its rows apart; names with a bar between them
share a row.
"""

from typing import Any

from tinynet.teaching.report import Finding

ROWS = """
error inputs-not-finite|targets-not-finite: {seen} are NaN or infinite, in {rows} of {N} examples
  => find where they come from: an empty field, a division by a standard deviation of 0
error column-of-another-scale: of {columns} columns, {told}; it drowns the others
  => scale it by itself: x[:, {c}] = (x[:, {c}] - {mean:.4g}) / {std:.4g}; is -999 what is missing?
error inputs-not-scaled: the inputs{range}, with mean {mean:.3g} and standard deviation {std:.3g};
  layers are made for a mean near 0 and a standard deviation near 1{twice}
  => use (x - {mean:.3g}) / {std:.3g}; for images data.DataLoader(...,
  transform=data.standardize(train))
error inputs-constant: all {N} examples are constant, {number:g} or so in all {places} places
  => look at the data as it comes from the loader: a mask or scaling that wipes everything out?
warning column-constant: of {columns} columns, {told} has the same value in all examples, {number:g}
  => look at how it was read, or leave it out: np.delete(x, {left}, 1)
warning inputs-duplicated: only {groups} of the {N} examples differ from each other
  => check how the batch is drawn: does an index not move on, is data there several times?
error labels-sorted|targets-sorted: from one batch to the next the {what} differ {ratio:.0f} times
  as much as those of shuffled batches would: a model learns some and forgets the others
  => shuffle: data.DataLoader(train, ..., shuffle=True)
warning one-class-in-the-batch: all {size} labels of the batch are {label}
  => shuffle: data.DataLoader(train, ..., shuffle=True); or look at how the labels were read
warning class-weights-inverted: class {classes[0]} has {shares[0]:.1%} of {size} labels, class
  {classes[1]} {shares[1]:.1%}; of the former the loss makes {times:.3g} times as much
  => weigh the rare ones more: w = 1 / np.bincount(labels), of one output pos_weight = zeros / ones
warning classes-imbalanced: class {classes[0]} has {shares[0]:.1%} of {size} labels, class
  {classes[1]} {shares[1]:.1%}: the answer {classes[0]} is right that often, whatever the input
  => weigh the classes, F.cross_entropy(y, t, weight=...), and judge by each class's accuracy
warning classes-imbalanced (absent): no label of {size} is {names}
  => were labels scaled or cut? If none ever is, count the classes from 0, for {C} outputs
error targets-not-scaled: the targets have mean {mean:.4g} and standard deviation {std:.4g}, the
  outputs of a new model around 0 and 1
  => train on (target - {mean:.4g}) / {std:.4g}, and turn predictions back
error targets-not-scaled (some): {count} of {N} targets, such as {value:g}, are far from all others,
  most of which are from {low:.4g} to {high:.4g}: mistyped, or what stands for a missing one?
  => leave these out: keep = abs(target - {middle:.4g}) < {limit:.4g}; x, target = x[keep], ...
error targets-out-of-reach: {beyond:.0%} of the targets, which{range}, are outside of {low:g} to
  {high:g}, all that {where} at the end can give
  => end the model with its last linear layer, or scale the targets
warning targets-turned|targets-in-another-order: {seen} when each is {how}
  => sort, shuffle, flip and cut inputs and targets alike; was one of them moved by a line?
warning label-among-the-inputs: column x[:, {place}] of the inputs is the target in other
  numbers, in all {N} examples: new ones will not have it
  => leave it out: np.delete(x, {leaks}, {axis})
warning label-among-the-inputs (row): column x[:, {place}] counts the {N} examples, whose classes
  follow one another in it: the number of a row in a sorted file
  => leave it out: np.delete(x, {place}, 1)
warning label-among-the-inputs (words): in all {N} examples the target is the last word of the
  inputs, or each word is its own
  => move them by one: the inputs are text[:, :-1], the targets text[:, 1:]
warning label-among-the-inputs (to come): each target is the next word, and the model sees it: with
  other words from place {place} on, the outputs before change
  => let no place look ahead: scores + torch.triu(full((T, T), -inf), 1) before softmax, padding on
  the left alone in convolutions
warning padding-in-the-loss: {share:.0%} of the targets are {filling}, where the inputs are filled
  up too, and count in the loss
  => leave them out: F.cross_entropy(y, t, ignore_index={filling}); or t[length:] = -100
warning validation-shares-examples: {n} of {N} validation examples are among the training examples
  => train, validation = data.random_split(train, [0.9, 0.1])
error validation-unlike-training: the validation data has what the training data has not, {evidence}
  => prepare both alike, with mean and standard deviation of the training data{cure}
error weights-not-finite: NaN or infinity in {names}
  => build the model anew, or load a checkpoint from before; then lower the learning rate
error weights-all-equal: the units of {names} all have the same weights{zero} and the same
  gradient: they compute the same, and go on to for ever
  => begin with random weights: layer.reset_parameters(), or nn.init.kaiming_normal_(layer.weight)
warning evaluation-mode: in evaluation mode: {names}. There dropout and batch norm do not train
  => call model.train() before training (and model.eval() before measuring)
error dropout-too-strong: next to nothing passes: {strong}; p is the probability to drop
  => use p=0.5 or less, behind the first layers; nn.Dropout2d drops whole channels
error dropout-on-the-scores: {where} comes last: it sets scores to 0, that of the right class too
  => put dropout before the last linear layer, not behind it
error batch-norm-with-batch-of-1: {seen}, and {names} normalises by that one alone
  => use batches of 16 or more, and drop_last=True where the last one would have 1; or nn.LayerNorm
error parameters-not-registered: {count} weights are used that are not in model.parameters(): {told}
  => make layers in __init__ and keep them as attributes, a list of them as nn.ModuleList([...])
warning nothing-nonlinear-between: nothing nonlinear stands between {pairs}
  => put an activation between them, such as nn.ReLU()
error axes-mixed (loss): with one target changed at {place}, the loss of outputs and targets of
  shapes {shapes} changes its gradient most at {there}; so in {count} of {tried} places
  => look at reshape in the loss: y.permute(0, 2, 3, 1).reshape(-1, C), not y.reshape(-1, C)
warning axes-mixed (inputs): neighbouring pixels of the inputs, {shape}, differ by {rough:.2g} of
  the variance, but by {other:.2g} if the numbers are read with the channels last
  => exchange axes with x.transpose(0, 3, 1, 2), not x.reshape(-1, 3, H, W)
warning axes-mixed (attention): {where} runs over axis {axis} of scores of shape {shape}, the
  queries, so the weights of the keys are not 1 together
  => take the softmax over the last axis: F.softmax(q @ k.transpose(-2, -1), dim=-1)
warning axes-mixed: {where} makes {after} of {before}: the axes are not exchanged, but mixed up
  => exchange axes with x.transpose(1, 2) or x.permute(...)
warning layer-of-one-unit: {places} gets 1 number of each example, and the loss goes {run}
  => give the layer before more than one unit, or take the mean over the pixels alone
error other-batches-fail: in evaluation mode, on this batch or one of {fewer}, the model {problem}
  => keep the size open: x.reshape(len(x), -1); and nothing of the last batch, such as self.hidden
error random-in-evaluation: in evaluation mode the same batch gets other outputs the second time, by
  up to {by:.3g}: {where} goes on after model.eval()
  => use nn.Dropout, which model.eval() turns off, or F.dropout(x, p, self.training)
error examples-mixed: when only example 0 changes, so do the outputs of {moved} of the {others}
  other examples
  => look at every reshape, transpose, mean and softmax: axis 0 stays first: x.reshape(len(x), -1)
error forward-fails|loss-fails|backward-fails: {told}
  => {cure}
error loss-fails (exchanged): {op} takes outputs first and targets second, but here no gradient
  reaches what comes first, and one what comes second
  => exchange them: {op}(output, target)
error loss-not-a-number: the loss has shape {shape}; a gradient needs a single number
  => take the mean over the batch: loss.mean(), or reduction='mean'
error loss-depends-on-nothing: the loss depends on no parameter that requires a gradient
  => look for .detach(), .data, .numpy() or no_grad() on the way to the loss
error no-gradient: no gradient reaches {names}{why}
  => look for .detach(), .data, .numpy() or no_grad() behind them, a result or layer not used
error dead-relu: 0 for all {N} examples: {told}; through them no gradient passes
  => build the model anew, use a smaller learning rate, batch norm before it, or nn.LeakyReLU
error saturated-units: {told} lie where the slope is next to 0: hardly any gradient passes
  => scale what goes in: inputs, weights (layer.reset_parameters()), batch norm; or use nn.ReLU()
warning zero-gradient: the gradient is exactly 0 for every number of {names}{where}
  => look at what follows these layers: weights that are all 0, a function that is flat, a softmax
  of one score (that is a sigmoid, or binary_cross_entropy_with_logits)
error softmax-over-the-batch: {where} runs over axis 0, the examples of the batch
  => take the axis of the classes: dim=1
error targets-out-of-reach (several): the targets of an example add up to as much as {most:.3g}, but
  the probabilities that {op} compares them with, which come from a softmax, to 1
  => for several classes at once use F.binary_cross_entropy_with_logits on the raw scores
error nll-loss-of-scores: nll_loss takes log-probabilities along axis 1; these add up to {share:.4g}
  => use cross_entropy, which takes the raw scores, or put log_softmax before it, with dim=1
error scores-out-of-reach: the scores for {loss} come out of {made} ({seen}), which gives
  {low:.3g} to {high:.3g} at most: with such scores the loss cannot fall below {least:.2f}
  => end the model with its last linear layer, leave the {op} out: softmax and sigmoid are part of
  the loss; cosines want a factor, 16 * y
error targets-broadcast: {where} takes shapes {shapes[0]} and {shapes[1]}, which broadcasting makes
  {made}: outputs and targets do not go together one to one
  => make the shapes the same: target.unsqueeze(1), output.squeeze(1), of labels F.one_hot(target)
error loss-not-finite: the loss of this batch is {loss}
  => run it inside `with tinynet.detect_anomaly():`, which names the operation
error gradients-not-finite: the loss is finite, {loss:.4g}, but {told} is NaN or infinite
  => run it inside `with tinynet.detect_anomaly():`; sqrt and norm have no slope at 0: (d + 1e-8)
  ** 0.5; 0 * inf stays NaN behind where()
error probabilities-without-log: the loss is {loss:.4g}, of a softmax without a logarithm
  => use F.log_softmax in place of F.softmax: kl_div and nll_loss take log-probabilities
warning loss-beyond-its-part: the loss is {loss:.4g}, but {op} within it only {part:.4g}: what is
  added to it, or multiplied with, counts for more
  => make the penalty smaller (a weight decay of 1e-4 is usual), or leave the factor out
warning first-loss-too-high: the loss is {loss:.3g}; the same answer for all gives {blank:.3g}: the
  model starts out sure of wrong answers, with outputs from {low:.3g} to {high:.3g}
  => scale the inputs, and make the initial weights smaller, of the last layer above all
error examples-left-out: whatever they are, {count} of the {N} have no gradient, from {first} on
  => take all of the batch: not y[:n], but y
error class-left-out: the loss has no gradient for {count} of {N} examples, all of class {names},
  whatever the outputs are: the model never learns it
  => ignore_index is -100, each class has a weight, a hinge loss takes 1 and -1: 2 * target - 1
error nothing-to-train: {seen}
  => model.requires_grad_(); layers are attributes made in __init__
error optimizer-and-model-differ: {missing} of {own} parameters are not in the optimizer and will
  never change{names}; {foreign} tensors in it are not of this model
  => make the optimizer after the model and its last layer, of model.parameters() alone
error step-ignores-its-batch (itself): the step's {op} holds the outputs against {what}, whatever
  the targets are
  => hold them against the target that the step is given
warning optimizer-made-anew: each training step makes another {kind}, which begins without the
  momentum and the means of gradients that the last one had
  => make the optimizer once, before the loop
error step-fails: {which} raises {kind}: {told}
  => is the forward pass within no_grad()? Keep no tensors from step to step: total += loss.item()
error gradients-thrown-away: optimizer.step() comes after {runs} training steps, but zero_grad()
  takes gradients away before it (at the step the norm is {size:.3g}, that of a batch {usual:.3g})
  => call {owner}.zero_grad() after each optimizer.step() alone, or add up the losses
error step-changes-nothing: optimizer.step() was not called in {runs} training steps
  => call optimizer.zero_grad(), loss.backward(), optimizer.step(), in this order, once each
error step-changes-nothing (by hand): a whole training step left every parameter as it was
  => change the parameters themselves: p.data -= lr * p.grad; p = p - ... makes another one
error loss-is-maximized (by hand): a whole training step added the gradient to the parameters
  => subtract a little of it: p.data -= lr * p.grad
error forgotten-zero-grad: the second of two steps adds its gradient to what the first one left
  (norms {size:.3g} and then {both:.3g}): with that cleared it leads elsewhere
  => call {owner}.zero_grad() before each loss.backward(), of each optimizer that steps
error step-without-gradient: when optimizer.step() runs there is no gradient, though that of the
  batch has the norm {usual:.3g}: {where}
  => call optimizer.zero_grad(), loss.backward(), optimizer.step(), in this order, once each
error step-without-gradient (other): an optimizer of your step never has a gradient when it steps
  => its loss must reach its parameters: no .detach(), .data or no_grad() on the way; call
  backward()
error optimizer-steps-twice: optimizer.step() is called {count} times with the same gradient
  => call optimizer.zero_grad(), loss.backward(), optimizer.step(), in this order, once each
error step-misses-parameters: in a training step {names} have no gradient, or do not move by it
  => look for .detach(), no_grad() or frozen parameters in your step
error gradient-changed: when optimizer.step() runs, the gradient (norm {size:.3g}) is {factor:.3g}
  times that of the batch ({usual:.3g})
  => {cure}
error learning-rate-falls-too-fast: in {steps} steps the loss goes {own}; {held}
  => call schedule.step() once an epoch, not each batch, or let it fall more slowly
error step-ignores-its-batch: the step leads to the same parameters, bit for bit, when {what} are
  replaced by others
  => use the x and target that the step is given, not those of outside; by hand p.grad: p.data -= lr
  * p.grad
error training-fails: the first batch works, but {steps} steps on {batches} batches end with {told}
  => the message says what to change
error learning-rate-zero: the learning rate is 0 for {idle} of {groups} groups of parameters
  => {cure}
error loss-with-the-wrong-sign: the loss goes {run}, {seen}
  => turn the sign: the loss must be lowest where outputs and targets agree: 1 - similarity
error loss-without-a-lower-bound: the loss goes {run}, below 0, and there is no end to it
  => look at the sign, exp and square of each term; what is kept apart needs a margin: F.relu(1 - d)
warning momentum-too-high: with momentum={momentum:g} a gradient moves the weights for hundreds of
  steps, or for ever
  => use momentum=0.9, which is betas=(0.9, ...) of Adam
warning evaluation-far-from-training: after {steps} steps the loss is {run.last:.4g} in training
  mode, but {run.asleep:.4g} in evaluation mode; it began with {run.first:.4g}{told}
  => use batch norm's momentum=0.1, the weight of the new batch, and larger batches; or nn.LayerNorm
warning weight-decay-too-large (penalty): to the gradient of the loss (norm {usual:.3g}) there come
  {times:.3g} times the {what} themselves (norm {size:.3g}): a penalty far too large
  => make the factor of the penalty smaller: 1e-4 is usual
warning weight-decay-too-large (by hand): each training step makes all weights smaller, by
  {times:.1%}, whatever its gradient is
  => leave it out, or take the rate into it: p.data *= 1 - lr * 1e-2, as optim.AdamW does
error loss-is-maximized|weight-decay-too-large|eps-too-large|learning-rate-falls-too-fast (setting):
  with {setting}={given:g} the loss goes {own} in {steps} steps; {other}
  => use the usual {setting}={usual:g}, or next to it
warning learning-rate-too-low: in {steps} steps the loss goes {own}; {other}
  => use a larger learning rate: {rate}; is there a small factor in the loss or the outputs?
warning learning-rate-too-low (schedule): in {steps} steps the schedule lets the learning rate get
  to {most:.2g}, of the {initial:g} that was set, and the loss goes {own}; {held}
  => let the warm-up end sooner: LambdaLR(optimizer, lambda k: min(1, (k + 1) / 500))
error step-does-not-learn: in {steps} steps by your step the loss goes {own}; {other}
  => look at what else it does: eval(), no_grad(), clipping, another target, a schedule{rate}
error targets-exchangeable: another target changes the loss's gradient for each of the {N} outputs
  alike: the loss does not ask which target belongs to which
  => hold outputs against targets, take the mean last: ((y - t) ** 2).mean()
warning initial-weights-hinder: in {steps} steps the loss goes {own}; {other}
  => {cure}
error learning-rate-too-high: in {steps} steps the loss goes {own}{added}; {other}
  => try a smaller rate: {rate}
error summed-loss: in {steps} steps the loss goes {own}{added}; {other}. The loss is {what}
  => take the mean: loss.mean(), reduction='mean', (loss / batches).backward(); or the rate, {rate}
error does-not-learn: in {steps} steps on the same {N} batches the loss goes {run}, and no
  better at other rates{renewed}; a net that can learn learns these by heart
  => {cure}
error vanishing-gradients: the gradient is {size[0]:.1e} in {names[0]} and {size[1]:.1e} in
  {names[1]}. In {steps} steps the loss goes {run}{renewed}
  => {cure}
warning inputs-and-targets-unrelated: similar inputs among {N} have targets no more alike than
  chance; the loss goes from {run.first:.4g} to {run.last:.4g}, with targets shuffled to
  {chance:.4g}
  => look at some examples; shuffle, move and filter inputs and labels alike: x[order], y[order]
warning inputs-and-targets-unrelated (step): with all targets alike the step's gradient is that of
  its batch, with its own targets it differs by {by:.0%}: it gives examples the targets of others
  => shuffle inputs and targets by the same order in the step: x[order], t[order]
"""


def _parsed(text: str) -> dict[str, Finding]:
    """The rows, by name and what stands in brackets behind it."""
    rows: dict[str, Finding] = {}
    for row in text.strip().replace("\n  ", " ").splitlines():
        head, told = row.split(": ", 1)
        severity, which = head.split(" ", 1)
        names, bracket, variant = which.partition(" (")
        evidence, cure = told.split(" => ")
        for name in names.split("|"):
            rows[name + bracket + variant] = Finding(name, severity, evidence, cure)
    return rows


CATALOGUE = _parsed(ROWS)


def finding(row: str, severity: str = "", /, **values: Any) -> Finding:
    """A row of the catalogue with its values; severity: if not that of the row."""
    found = CATALOGUE[row]
    evidence, cure = (text.format(**values) for text in (found.evidence, found.cure))
    return Finding(found.name, severity or found.severity, evidence, cure)
