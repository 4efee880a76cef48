"""StyleGAN2's nets, as StyleGAN2-ADA trains them: skip generator and residual discriminator.

Weights are N(0, 1) and are scaled where they are used, so that all learn at one rate ("equalised
learning rate": Karras et al., Progressive Growing of GANs, 2018, section 4.1). Names and layouts
of the variables are those of the published networks, see `jaxgan.weights.stylegan2_ada`.

References:
    Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks, 2019.
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020 ("2020a").
    Karras et al., Training Generative Adversarial Networks with Limited Data, 2020 ("2020b"):
    the settings, and low precision, in its appendix.
"""

from jaxgan.models.stylegan2.discriminator import Conv as Conv
from jaxgan.models.stylegan2.discriminator import Discriminator as Discriminator
from jaxgan.models.stylegan2.discriminator import DiscriminatorBlock as DiscriminatorBlock
from jaxgan.models.stylegan2.discriminator import DiscriminatorEnd as DiscriminatorEnd
from jaxgan.models.stylegan2.discriminator import minibatch_deviation as minibatch_deviation
from jaxgan.models.stylegan2.generator import Generator as Generator
from jaxgan.models.stylegan2.generator import Synthesis as Synthesis
from jaxgan.models.stylegan2.generator import SynthesisBlock as SynthesisBlock
from jaxgan.models.stylegan2.generator import SynthesisLayer as SynthesisLayer
from jaxgan.models.stylegan2.generator import ToRGB as ToRGB
from jaxgan.models.stylegan2.layers import Dense as Dense
from jaxgan.models.stylegan2.layers import Labels as Labels
from jaxgan.models.stylegan2.layers import Mapping as Mapping
from jaxgan.models.stylegan2.layers import Styles as Styles
from jaxgan.models.stylegan2.layers import Ws as Ws
from jaxgan.models.stylegan2.layers import activate as activate
from jaxgan.models.stylegan2.layers import check_labels as check_labels
from jaxgan.models.stylegan2.layers import clamped as clamped
from jaxgan.models.stylegan2.layers import modulated_conv as modulated_conv
from jaxgan.models.stylegan2.layers import normalised as normalised
from jaxgan.models.stylegan2.layers import precision as precision
from jaxgan.models.stylegan2.layers import widths as widths
