using System.Buffers;
using System.IO.Pipelines;
using System.Net.Http;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// An answer's body on its way to the client: what is there at once leaves together with the headers, what follows goes from the instance's
/// socket into the memory that Kestrel sends. Never more than 64 KB of one answer is read ahead.
/// </summary>
internal static class BodyCopy
{
    private const int Block = 64 * 1024;

    public static async ValueTask<(ForwarderError Error, Exception? Failure)> RunAsync(HttpContext http, Attempt attempt, HttpContent content)
    {
        var side = ForwarderError.ResponseBodyDestination;
        var buffer = ArrayPool<byte>.Shared.Rent(Block);
        ValueTask<int> reading = default;
        try
        {
            var body = await content.ReadAsStreamAsync(attempt.Token).ConfigureAwait(false);
            var (filled, sent, flows, more) = (0, 0, true, true);
            // A client that listens for events wants to know that it is connected, however long the first one takes.
            if (http.Response.ContentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) == true)
            {
                side = ForwarderError.ResponseBodyClient;
                await http.Response.Body.FlushAsync(attempt.Token).ConfigureAwait(false);
                flows = false;
            }
            while (flows && more && filled < Block)
            {
                side = ForwarderError.ResponseBodyDestination;
                reading = body.ReadAsync(buffer.AsMemory(filled, Block - filled), attempt.Token);
                flows = reading.IsCompleted || filled == 0;
                if (!reading.IsCompleted && filled > sent)
                {
                    // It may take a while: what is here goes out meanwhile.
                    side = ForwarderError.ResponseBodyClient;
                    await http.Response.Body.WriteAsync(buffer.AsMemory(sent, filled - sent), attempt.Token).ConfigureAwait(false);
                    sent = filled;
                    side = ForwarderError.ResponseBodyDestination;
                }
                var read = await reading.ConfigureAwait(false);
                reading = default;
                more = read > 0;
                filled += read;
            }
            attempt.Moved();
            side = ForwarderError.ResponseBodyClient;
            // With the whole answer in hand it does not matter what becomes of the instance; a cancelled write would end the client's connection.
            if (filled > sent) await http.Response.Body.WriteAsync(buffer.AsMemory(sent, filled - sent), more ? attempt.Token : CancellationToken.None).ConfigureAwait(false);
            if (!more) return (ForwarderError.None, null);
            Return(ref buffer!);
            return await RestAsync(http.Response.BodyWriter, attempt, body, flows).ConfigureAwait(false);
        }
        catch (Exception failure) when (IsOfTheNetwork(failure) || failure is InvalidOperationException)
        {
            // The last: Kestrel takes no body with this status, such as 205.
            if (side == ForwarderError.ResponseBodyClient) await EndAsync(reading, attempt).ConfigureAwait(false);
            return (side, failure);
        }
        finally
        {
            Return(ref buffer!);
        }
    }

    public static bool IsOfTheNetwork(Exception failure) => failure is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException;

    private static async ValueTask<(ForwarderError, Exception?)> RestAsync(PipeWriter writer, Attempt attempt, Stream body, bool flows)
    {
        var side = ForwarderError.ResponseBodyDestination;
        try
        {
            while (true)
            {
                side = ForwarderError.ResponseBodyDestination;
                // No memory is held for an instance that makes its clients wait.
                if (!flows) await body.ReadAsync(Memory<byte>.Empty, attempt.Token).ConfigureAwait(false);
                var memory = writer.GetMemory(Block)[..Block];
                var read = await body.ReadAsync(memory, attempt.Token).ConfigureAwait(false);
                attempt.Moved();
                if (read == 0) return (ForwarderError.None, null);
                flows = read == Block;
                writer.Advance(read);
                side = ForwarderError.ResponseBodyClient;
                var flushed = await writer.FlushAsync(attempt.Token).ConfigureAwait(false);
                if (flushed.IsCompleted || flushed.IsCanceled) return (side, new IOException("the client has gone"));
                attempt.Moved();
            }
        }
        catch (Exception failure) when (IsOfTheNetwork(failure) || failure is InvalidOperationException)
        {
            return (side, failure);
        }
    }

    // A read that is under way has the buffer: it must be over before the buffer is anybody else's.
    private static async ValueTask EndAsync(ValueTask<int> reading, Attempt attempt)
    {
        attempt.ClientLeft();
        try
        {
            await reading.ConfigureAwait(false);
        }
        catch (Exception end) when (IsOfTheNetwork(end)) { }
    }

    private static void Return(ref byte[]? buffer)
    {
        if (buffer is not null) ArrayPool<byte>.Shared.Return(buffer);
        buffer = null;
    }
}
