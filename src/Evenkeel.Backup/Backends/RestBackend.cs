using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Backup.Backends;

/// <summary>A repository behind restic's REST protocol, version 2: our own server, rest-server, or any other that speaks it.</summary>
/// <remarks>Source: restic's documentation, "REST Backend". Our server adds a field <c>arrived</c> to listings, which others ignore.</remarks>
public sealed class RestBackend : IBackend
{
    internal const string ListType = "application/vnd.x.restic.rest.v2";
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(15);
    private readonly HttpClient _client;
    private readonly Uri _root;

    /// <summary>Connects at the first use. The authority file is read here.</summary>
    public RestBackend(RestLocation location)
    {
        _root = location.Address;
        _client = new HttpClient(Handler(location.AuthorityFile)) { Timeout = Longest, BaseAddress = _root };
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("evenkeel", null));
        if (location.Credential is { } credential)
        {
            // Sent at once: asking first would upload every pack twice.
            var pair = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{credential.UserName}:{credential.Password}"));
            _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", pair);
        }
    }

    /// <inheritdoc/>
    public string Location => _root.ToString();

    /// <inheritdoc/>
    public async Task CreateAsync(CancellationToken cancellation)
    {
        if (await ExistsAsync(FileKind.Config, "config", cancellation).ConfigureAwait(false))
        {
            throw new RepositoryException(RepositoryError.Exists, $"{Location} already holds a repository");
        }
        using var answer = await SendAsync(HttpMethod.Post, "?create=true", cancellation).ConfigureAwait(false);
        Expect(answer, "making the repository");
    }

    /// <inheritdoc/>
    public async Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation)
    {
        using var answer = await SendAsync(HttpMethod.Head, PathOf(kind, name), cancellation).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.NotFound)
        {
            return false;
        }
        Expect(answer, $"looking for {kind} {name}");
        return true;
    }

    /// <inheritdoc/>
    public async Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation)
    {
        var part = offset != 0 || length >= 0;
        if (part && length == 0)
        {
            return [];
        }
        using var answer = await SendAsync(HttpMethod.Get, PathOf(kind, name), cancellation,
            request => request.Headers.Range = part ? new RangeHeaderValue(offset, length < 0 ? null : offset + length - 1) : null).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            throw TooShort(kind, name, offset + Math.Max(length, 0));
        }
        Expect(answer, $"reading {kind} {name}");
        var content = await ReadAsync(answer, cancellation).ConfigureAwait(false);
        if (part && answer.StatusCode == HttpStatusCode.OK)
        {
            // A server may ignore the range and send everything.
            content = offset > content.Length ? [] : content[(int)offset..];
            content = length >= 0 && content.Length > length ? content[..length] : content;
        }
        return length < 0 || content.Length == length ? content : throw TooShort(kind, name, offset + length);
    }

    /// <inheritdoc/>
    public async Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        using var answer = await SendAsync(HttpMethod.Post, PathOf(kind, name), cancellation, request =>
        {
            request.Content = new ReadOnlyMemoryContent(content);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        }).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.Forbidden && kind != FileKind.Config
            && await ExistsAsync(kind, name, cancellation).ConfigureAwait(false))
        {
            // rest-server refuses a name that it has. The name is the content's hash, so what we want to store is there:
            // an earlier try arrived whose answer was lost.
            return;
        }
        Expect(answer, $"storing {kind} {name}");
    }

    /// <inheritdoc/>
    public async Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation)
    {
        using var answer = await SendAsync(HttpMethod.Delete, PathOf(kind, name), cancellation).ConfigureAwait(false);
        if (answer.StatusCode != HttpStatusCode.NotFound)
        {
            Expect(answer, $"removing {kind} {name}");
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation)
    {
        using var answer = await SendAsync(HttpMethod.Get, LocalBackend.Folder(kind) + "/", cancellation,
            request => request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(ListType))).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.NotFound)
        {
            return [];
        }
        Expect(answer, $"listing {LocalBackend.Folder(kind)}");
        if (answer.Content.Headers.ContentType?.MediaType != ListType)
        {
            throw new RepositoryException(RepositoryError.UnknownFormat, $"{Location} does not speak version 2 of restic's REST protocol");
        }
        try
        {
            var entries = JsonSerializer.Deserialize(await ReadAsync(answer, cancellation).ConfigureAwait(false), RestJson.Default.ListRestEntry) ?? [];
            return [.. entries.Select(e => new BackendFile(e.Name, e.Size, e.Arrived))];
        }
        catch (JsonException e)
        {
            throw new RepositoryException(RepositoryError.Unavailable, $"{Location}: the listing cannot be understood", e);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <param name="authorityFile">PEM file of the only authorities to trust; null for the system's.</param>
    internal static SocketsHttpHandler Handler(string? authorityFile)
    {
        var handler = new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(30), AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(10) };
        if (authorityFile is { } file)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            try
            {
                policy.CustomTrustStore.ImportFromPemFile(file);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or System.Security.Cryptography.CryptographicException)
            {
                throw new RepositoryException(RepositoryError.Unavailable, $"the authority file {file} cannot be read: {e.Message}", e);
            }
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }
        return handler;
    }

    private static string PathOf(FileKind kind, string name) => kind == FileKind.Config ? "config" : $"{LocalBackend.Folder(kind)}/{name}";

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, CancellationToken cancellation, Action<HttpRequestMessage>? prepare = null)
    {
        using var request = new HttpRequestMessage(method, path);
        prepare?.Invoke(request);
        try
        {
            return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw Lost(e);
        }
        catch (TaskCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw Lost(e);
        }
    }

    private async Task<byte[]> ReadAsync(HttpResponseMessage answer, CancellationToken cancellation)
    {
        try
        {
            return await answer.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Lost(e);
        }
    }

    private RepositoryException Lost(Exception e) => new(RepositoryError.Unavailable,
        $"{Location}: {(e is OperationCanceledException ? $"no answer within {Longest.TotalMinutes} minutes" : e.InnerException?.Message ?? e.Message)}", e);

    private static RepositoryException TooShort(FileKind kind, string name, long expected) =>
        new(RepositoryError.Damaged, $"{kind} {name} is too short: {expected} bytes expected");

    private void Expect(HttpResponseMessage answer, string what)
    {
        if (answer.IsSuccessStatusCode)
        {
            return;
        }
        var error = answer.StatusCode switch
        {
            HttpStatusCode.NotFound => RepositoryError.NotFound,
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => RepositoryError.Refused,
            HttpStatusCode.InsufficientStorage or HttpStatusCode.RequestEntityTooLarge => RepositoryError.Full,
            _ => RepositoryError.Unavailable,
        };
        var meaning = answer.StatusCode switch
        {
            HttpStatusCode.Unauthorized => "wrong user name or password",
            HttpStatusCode.Forbidden => "not allowed (append-only, or another user's repository)",
            HttpStatusCode.InsufficientStorage or HttpStatusCode.RequestEntityTooLarge => "the server is full, or the quota is used up",
            _ => answer.ReasonPhrase,
        };
        throw new RepositoryException(error, $"{Location}: {what}: {meaning} ({(int)answer.StatusCode})");
    }
}

/// <summary>One line of a listing.</summary>
internal sealed record RestEntry(
    [property: JsonPropertyName("name")] string Name,
    [property: JsonPropertyName("size")] long Size,
    [property: JsonPropertyName("arrived"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? Arrived = null);

[JsonSerializable(typeof(List<RestEntry>))]
[JsonSerializable(typeof(List<string>))]
internal sealed partial class RestJson : JsonSerializerContext;
