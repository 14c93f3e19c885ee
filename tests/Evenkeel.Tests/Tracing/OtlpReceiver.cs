using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Tests.Tracing;

/// <summary>One span as it came over the wire; ids in hexadecimal, times in nanoseconds since 1970.</summary>
internal sealed record ReceivedSpan(string Trace, string Id, string Parent, string Name, ulong Start, ulong End, int Status, IReadOnlyDictionary<string, string> Attributes, IReadOnlyDictionary<string, string> Resource)
{
    public double Milliseconds => (End - Start) / 1e6;
}

/// <summary>
/// A collector of its own: OTLP 1.x over HTTP with protobuf bodies and over gRPC, decoded by hand from the published messages
/// (opentelemetry-proto, collector/trace/v1), so that nothing of the exporter's own takes part.
/// </summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly ConcurrentQueue<ReceivedSpan> spans = new();
    private readonly ConcurrentQueue<string> authorizations = new();
    private readonly WebApplication application;

    private OtlpReceiver(WebApplication application) => this.application = application;

    public IReadOnlyList<ReceivedSpan> Spans => [.. spans];
    public IReadOnlyList<string> Authorizations => [.. authorizations];
    public int Port { get; private set; }

    /// <param name="listen">Makes the bound listening socket: it may be in another network namespace.</param>
    public static async Task<OtlpReceiver> StartAsync(bool grpc = false, Func<EndPoint, Socket>? listen = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        if (listen is not null) builder.Services.Configure<SocketTransportOptions>(transport => transport.CreateBoundListenSocket = listen);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = grpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var application = builder.Build();
        var receiver = new OtlpReceiver(application);
        application.MapPost("/v1/traces", (RequestDelegate)(async http =>
        {
            receiver.Take(await BodyAsync(http), http);
            http.Response.ContentType = "application/x-protobuf";
        }));
        application.MapPost("/opentelemetry.proto.collector.trace.v1.TraceService/Export", (RequestDelegate)(async http =>
        {
            // One message: a byte for compression, its length, itself.
            receiver.Take((await BodyAsync(http))[5..], http);
            http.Response.ContentType = "application/grpc";
            await http.Response.Body.WriteAsync(new byte[5]);
            http.Response.AppendTrailer("grpc-status", "0");
        }));
        await application.StartAsync();
        receiver.Port = new Uri(application.Urls.First()).Port;
        return receiver;
    }

    /// <summary>Waits until what has come satisfies.</summary>
    public async Task<IReadOnlyList<ReceivedSpan>> UntilAsync(Func<IReadOnlyList<ReceivedSpan>, bool> enough, CancellationToken deadline)
    {
        try
        {
            while (!enough(Spans)) await Task.Delay(50, deadline);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"of the spans there came: {string.Join("; ", Spans.Select(span => $"{span.Trace[..8]} {span.Id} < {span.Parent}: {span.Name} {span.Milliseconds:0.0} ms"))}");
        }
        return Spans;
    }

    public ValueTask DisposeAsync() => application.DisposeAsync();

    private void Take(byte[] request, HttpContext http)
    {
        if (http.Request.Headers.Authorization is [{ } authorization]) authorizations.Enqueue(authorization);
        foreach (var (field, part) in Messages(request))
            if (field == 1) TakeResource(part);
    }

    private void TakeResource(byte[] resourceSpans)
    {
        Dictionary<string, string> resource = [];
        foreach (var (field, part) in Messages(resourceSpans))
        {
            if (field == 1) Attributes(part, 1, resource);
            if (field != 2) continue;
            foreach (var (inner, span) in Messages(part))
                if (inner == 2) spans.Enqueue(Read(span, resource));
        }
    }

    private static ReceivedSpan Read(byte[] bytes, IReadOnlyDictionary<string, string> resource)
    {
        var input = new CodedInputStream(bytes);
        string trace = "", id = "", parent = "", name = "";
        ulong start = 0, end = 0;
        var status = 0;
        Dictionary<string, string> attributes = [];
        for (uint tag; (tag = input.ReadTag()) != 0;)
            switch (tag >> 3)
            {
                case 1: trace = Convert.ToHexStringLower(input.ReadBytes().Span); break;
                case 2: id = Convert.ToHexStringLower(input.ReadBytes().Span); break;
                case 4: parent = Convert.ToHexStringLower(input.ReadBytes().Span); break;
                case 5: name = input.ReadString(); break;
                case 7: start = input.ReadFixed64(); break;
                case 8: end = input.ReadFixed64(); break;
                case 9: Attribute(input.ReadBytes().ToByteArray(), attributes); break;
                case 15: status = (int)(Messages(input.ReadBytes().ToByteArray(), 3).FirstOrDefault().Number); break;
                default: input.SkipLastField(); break;
            }
        return new ReceivedSpan(trace, id, parent, name, start, end, status, attributes, resource);
    }

    private static void Attributes(byte[] message, int field, Dictionary<string, string> into)
    {
        foreach (var (one, part) in Messages(message))
            if (one == field) Attribute(part, into);
    }

    private static void Attribute(byte[] keyValue, Dictionary<string, string> into)
    {
        var input = new CodedInputStream(keyValue);
        string key = "", value = "";
        for (uint tag; (tag = input.ReadTag()) != 0;)
            switch (tag >> 3)
            {
                case 1: key = input.ReadString(); break;
                // AnyValue: here they are all strings.
                case 2: value = Messages(input.ReadBytes().ToByteArray()).Where(part => part.Field == 1).Select(part => System.Text.Encoding.UTF8.GetString(part.Bytes)).FirstOrDefault(""); break;
                default: input.SkipLastField(); break;
            }
        into[key] = value;
    }

    /// <summary>A message's fields of bytes.</summary>
    private static IEnumerable<(int Field, byte[] Bytes)> Messages(byte[] message)
    {
        var input = new CodedInputStream(message);
        for (uint tag; (tag = input.ReadTag()) != 0;)
            if ((tag & 7) == 2) yield return ((int)(tag >> 3), input.ReadBytes().ToByteArray());
            else input.SkipLastField();
    }

    /// <summary>A message's numbers under one field.</summary>
    private static IEnumerable<(int Field, ulong Number)> Messages(byte[] message, int field)
    {
        var input = new CodedInputStream(message);
        for (uint tag; (tag = input.ReadTag()) != 0;)
            if ((tag & 7) == 0 && tag >> 3 == field) yield return (field, input.ReadUInt64());
            else input.SkipLastField();
    }

    private static async Task<byte[]> BodyAsync(HttpContext http)
    {
        using var all = new MemoryStream();
        await http.Request.Body.CopyToAsync(all, http.RequestAborted);
        return all.ToArray();
    }
}
