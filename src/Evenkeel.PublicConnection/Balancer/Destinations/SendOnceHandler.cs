using System.Net;
using System.Net.Http;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// Keeps the promise that a non-idempotent request is never sent twice. <see cref="SocketsHttpHandler"/> by itself repeats a
/// request without a body when a reused connection breaks before the first byte of the answer, even a POST: it cannot
/// know whether the server acted on it. A body that has begun forbids that, so every such request gets one (an empty one
/// if need be); and that it has begun tells the balancer that a retry is no longer allowed.
/// </summary>
internal sealed class SendOnceHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    public static readonly HttpRequestOptionsKey<ISendWitness> Witness = new("evenkeel-sent");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.Options.TryGetValue(Witness, out var witness);
        request.Content = new OnceContent(request.Content, witness);
        return base.SendAsync(request, cancellationToken);
    }

    private sealed class OnceContent : HttpContent
    {
        private readonly HttpContent? body;
        private readonly ISendWitness? witness;

        public OnceContent(HttpContent? body, ISendWitness? witness)
        {
            this.body = body;
            this.witness = witness;
            if (body is null) return;
            foreach (var header in body.Headers.NonValidated)
                foreach (var value in header.Value) Headers.TryAddWithoutValidation(header.Key, value);
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            if (witness?.BeginSending() == false) throw new IOException("a non-idempotent request is not sent twice");
            return body?.CopyToAsync(stream, context, cancellationToken) ?? Task.CompletedTask;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = body is null ? 0 : body.Headers.ContentLength ?? -1;
            return length >= 0;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) body?.Dispose();
            base.Dispose(disposing);
        }
    }
}

/// <summary>Learns that the first byte of a request is about to leave.</summary>
internal interface ISendWitness
{
    /// <summary>False when it has begun before.</summary>
    bool BeginSending();
}
