"""The generative models, one file each: config, module and loss. `MODELS` finds them by name.

A model is imported when it is first asked for.
"""

from generative.core.registry import Registry

MODELS = Registry(
    "model",
    {
        "vae": "generative.models.autoencoders.vae:VAE",
        "beta-vae": "generative.models.autoencoders.vae:BetaVAE",
        "autoencoder": "generative.models.autoencoders.autoencoder:Autoencoder",
        "conditional-vae": "generative.models.autoencoders.conditional_vae:ConditionalVAE",
        "vq-vae": "generative.models.autoencoders.vq_vae:VQVAE",
        "pca": "generative.models.autoencoders.pca:PCA",
        "random-convolutions": "generative.models.autoencoders.random_convolutions:RandomConvolutions",
        "mlp-classifier": "generative.models.first.classifier:MLPClassifier",
        "cnn-classifier": "generative.models.first.classifier:CNNClassifier",
        "dcgan": "generative.models.adversarial.gan:DCGAN",
        "wgan": "generative.models.adversarial.gan:WGAN",
        "wgan-gp": "generative.models.adversarial.gan:WGANGP",
        "conditional-gan": "generative.models.adversarial.conditional_gan:ConditionalGAN",
        "progan": "generative.models.adversarial.pro_gan:ProGAN",
        "stylegan": "generative.models.adversarial.style_gan:StyleGAN",
        "sagan": "generative.models.adversarial.sagan:SAGAN",
        "biggan": "generative.models.adversarial.big_gan:BigGAN",
        "pixel-cnn": "generative.models.likelihood.pixel_cnn:PixelCNN",
        "real-nvp": "generative.models.likelihood.real_nvp:RealNVP",
        "energy": "generative.models.likelihood.energy:Energy",
        "diffusion": "generative.models.diffusion.diffusion:Diffusion",
        "flow-matching": "generative.models.diffusion.flow_matching:FlowMatching",
        "cycle-gan": "generative.models.painting.cycle_gan:CycleGAN",
        "style-transfer": "generative.models.painting.style_transfer:StyleTransfer",
        "lstm": "generative.models.writing.lstm:LSTM",
        "gpt-2": "generative.models.writing.gpt2:GPT2",
        "encoder-decoder": "generative.models.writing.encoder_decoder:EncoderDecoder",
        "question-generator": "generative.models.writing.question_generator:QuestionGenerator",
        "transformer": "generative.models.writing.transformer:Seq2SeqTransformer",
        "bert": "generative.models.writing.bert:BERT",
        "music-transformer": "generative.models.composing.music_transformer:MusicTransformer",
        "muse-net": "generative.models.composing.muse_net:MuseNet",
        "muse-gan": "generative.models.composing.muse_gan:MuseGAN",
        "music-lstm": "generative.models.composing.music_lstm:MusicLSTM",
        "naive-bayes": "generative.models.first.naive_bayes:NaiveBayes",
        "multinomial": "generative.models.first.naive_bayes:Multinomial",
        "toy-distribution": "generative.models.first.toy_distribution:ToyDistribution",
    },
)
