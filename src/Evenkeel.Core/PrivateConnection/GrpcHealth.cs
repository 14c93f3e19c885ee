using System.Buffers.Binary;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text;

namespace Evenkeel.Core.PrivateConnection;

/// <summary>
/// The Check of gRPC's health protocol (grpc.health.v1), two messages of one field each: written and read here rather than by a gRPC
/// library. Over HTTP/2 without TLS, by prior knowledge.
/// </summary>
public static class GrpcHealth
{
    private const int MostBytes = 4096;

    /// <summary>Null when the server says SERVING, else what is wrong in words. Network errors are thrown as <see cref="HttpRequestException"/>.</summary>
    /// <param name="service">Whose health; null or empty: the server's as a whole.</param>
    public static async Task<string?> CheckAsync(HttpMessageInvoker client, string address, string? service, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{address}/grpc.health.v1.Health/Check")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(Request(service ?? "")),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        using var answer = await client.SendAsync(request, cancellation).ConfigureAwait(false);
        if (answer.StatusCode != HttpStatusCode.OK) return $"{address} answers {(int)answer.StatusCode} to a gRPC health check";
        var message = await ReadAsync(answer.Content, cancellation).ConfigureAwait(false);
        // Without a message, the status comes with the headers.
        var status = Status(answer.TrailingHeaders) ?? Status(answer.Headers);
        if (status != "0") return $"{address} answers with gRPC status {status ?? "none"} to a health check{(status == "12" ? ": it does not know grpc.health.v1" : status == "5" ? $": it knows no '{service}'" : "")}";
        return ServingStatus(message) switch { 1 => null, 2 => $"{address} says NOT_SERVING", 3 => $"{address} knows no '{service}'", _ => $"{address} says UNKNOWN" };
    }

    /// <summary>A request framed as gRPC does (one byte: not compressed; four bytes: length), the name as field 1.</summary>
    public static byte[] Request(string service)
    {
        var name = Encoding.UTF8.GetBytes(service);
        if (name.Length > 127) throw new ArgumentException("a service's name may have 127 bytes", nameof(service));
        var framed = new byte[name.Length == 0 ? 5 : 7 + name.Length];
        BinaryPrimitives.WriteInt32BigEndian(framed.AsSpan(1), framed.Length - 5);
        if (name.Length == 0) return framed;
        (framed[5], framed[6]) = (1 << 3 | 2, (byte)name.Length);
        name.CopyTo(framed, 7);
        return framed;
    }

    /// <summary>Field 1 of a framed answer: 1 is SERVING, 0 is UNKNOWN (also what is left out), -1 no such message.</summary>
    public static int ServingStatus(ReadOnlySpan<byte> framed)
    {
        if (framed.Length < 5 || framed[0] != 0 || BinaryPrimitives.ReadUInt32BigEndian(framed[1..]) != framed.Length - 5) return -1;
        var message = framed[5..];
        // An enum as a varint below 128; fields that a later version may add are not looked for behind it.
        return message.Length == 0 ? 0 : message.Length >= 2 && message[0] == 1 << 3 && message[1] < 128 ? message[1] : -1;
    }

    private static string? Status(HttpResponseHeaders headers) => headers.NonValidated.TryGetValues("grpc-status", out var values) ? values.ToString() : null;

    private static async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellation)
    {
        var buffer = new byte[MostBytes];
        await using var stream = await content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
        return buffer[..length];
    }
}
