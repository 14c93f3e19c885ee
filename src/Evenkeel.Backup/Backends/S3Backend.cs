using System.Net;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Evenkeel.Backup.Backends;

/// <summary>A repository in an S3 bucket, of Amazon or of anybody who speaks its protocol; keys are laid out as restic does.</summary>
/// <remarks>An object appears whole or not at all, and listings show it at once (S3's consistency since 2020; MinIO, Ceph and Garage say the same).
/// Arrival times are the server's. Requests are not tried again here: <see cref="RetryingBackend"/> does it.</remarks>
public sealed class S3Backend : IBackend
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(15);
    private readonly S3Location _place;
    private readonly AmazonS3Client _client;

    /// <summary>Connects at the first use. Without credentials the usual ways of Amazon's tools are tried: environment, profile, the machine's role.</summary>
    public S3Backend(S3Location place, NetworkCredential? credential, string? authorityFile = null)
    {
        _place = place;
        var config = new AmazonS3Config
        {
            ServiceURL = place.Endpoint.ToString(),
            AuthenticationRegion = place.Region,
            ForcePathStyle = true,
            MaxErrorRetry = 0,
            Timeout = Longest,
            // Newer checksums are Amazon's alone; each blob carries its own hash and tag.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
        };
        if (authorityFile is not null)
        {
            config.HttpClientFactory = new TrustingFactory(authorityFile);
        }
        _client = credential is null ? new AmazonS3Client(config) : new AmazonS3Client(new BasicAWSCredentials(credential.UserName, credential.Password), config);
    }

    /// <inheritdoc/>
    public string Location => $"s3:{_place.Endpoint}{_place.Bucket}/{_place.Prefix}";

    /// <inheritdoc/>
    public async Task CreateAsync(CancellationToken cancellation)
    {
        if (await ExistsAsync(FileKind.Config, "config", cancellation).ConfigureAwait(false))
        {
            throw new RepositoryException(RepositoryError.Exists, $"{Location} already holds a repository");
        }
        try
        {
            await TryAsync("looking for the bucket", () => _client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = _place.Bucket, MaxKeys = 1 }, cancellation), cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
        {
            await TryAsync("making the bucket", () => _client.PutBucketAsync(new PutBucketRequest { BucketName = _place.Bucket }, cancellation), cancellation).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation)
    {
        try
        {
            await TryAsync($"looking for {kind} {name}", () => _client.GetObjectMetadataAsync(_place.Bucket, Key(kind, name), cancellation), cancellation).ConfigureAwait(false);
            return true;
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation) => length == 0 ? Task.FromResult<byte[]>([])
        : TryAsync($"reading {kind} {name}", async () =>
        {
            var request = new GetObjectRequest { BucketName = _place.Bucket, Key = Key(kind, name) };
            if (offset > 0 || length > 0)
            {
                request.ByteRange = length < 0 ? new ByteRange($"bytes={offset}-") : new ByteRange(offset, offset + length - 1);
            }
            using var answer = await _client.GetObjectAsync(request, cancellation).ConfigureAwait(false);
            using var content = new MemoryStream((int)Math.Clamp(answer.ContentLength, 0, int.MaxValue / 2));
            await answer.ResponseStream.CopyToAsync(content, cancellation).ConfigureAwait(false);
            return length < 0 || content.Length == length ? content.ToArray() : throw TooShort(kind, name);
        }, cancellation, kind, name);

    /// <inheritdoc/>
    public Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation) => TryAsync($"storing {kind} {name}", () =>
    {
        var bytes = System.Runtime.InteropServices.MemoryMarshal.TryGetArray(content, out var whole) ? whole : new ArraySegment<byte>(content.ToArray());
        return _client.PutObjectAsync(new PutObjectRequest
        {
            BucketName = _place.Bucket,
            Key = Key(kind, name),
            InputStream = new MemoryStream(bytes.Array!, bytes.Offset, bytes.Count, writable: false),
            // Signed as a whole: not every server understands signed chunks.
            UseChunkEncoding = false,
            ContentType = "application/octet-stream",
        }, cancellation);
    }, cancellation);

    /// <inheritdoc/>
    public async Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation)
    {
        try
        {
            await TryAsync($"removing {kind} {name}", () => _client.DeleteObjectAsync(_place.Bucket, Key(kind, name), cancellation), cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
        {
            // Not there is what was wanted.
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation)
    {
        var files = new List<BackendFile>();
        var request = new ListObjectsV2Request { BucketName = _place.Bucket, Prefix = kind == FileKind.Config ? _place.Prefix + "config" : $"{_place.Prefix}{LocalBackend.Folder(kind)}/" };
        do
        {
            var page = await TryAsync($"listing {LocalBackend.Folder(kind)}", () => _client.ListObjectsV2Async(request, cancellation), cancellation).ConfigureAwait(false);
            files.AddRange((page.S3Objects ?? []).Select(o => new BackendFile(o.Key[(o.Key.LastIndexOf('/') + 1)..], o.Size ?? 0,
                o.LastModified is { } at ? new DateTimeOffset(at.ToUniversalTime(), TimeSpan.Zero) : null)));
            request.ContinuationToken = page.IsTruncated == true ? page.NextContinuationToken : null;
        }
        while (request.ContinuationToken is not null);
        return files;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    private string Key(FileKind kind, string name) => _place.Prefix + (kind switch
    {
        FileKind.Config => "config",
        FileKind.Pack => $"data/{name[..2]}/{name}",
        _ => $"{LocalBackend.Folder(kind)}/{name}",
    });

    private static RepositoryException TooShort(FileKind kind, string name) => new(RepositoryError.Damaged, $"{kind} {name} is shorter than expected");

    private async Task<T> TryAsync<T>(string what, Func<Task<T>> action, CancellationToken cancellation, FileKind kind = default, string name = "")
    {
        try
        {
            return await action().ConfigureAwait(false);
        }
        catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            throw TooShort(kind, name);
        }
        catch (AmazonS3Exception e)
        {
            throw new RepositoryException(ErrorOf(e), $"{Location}: {what}: {(e.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized ? $"not allowed ({e.ErrorCode ?? "access denied"}): check key, secret and what they may do" : e.Message)}", e);
        }
        catch (Exception e) when (e is AmazonClientException or HttpRequestException or IOException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new RepositoryException(RepositoryError.Unavailable, $"{Location}: {what}: {e.InnerException?.Message ?? e.Message}", e);
        }
    }

    private static RepositoryError ErrorOf(AmazonS3Exception e) => e.StatusCode switch
    {
        HttpStatusCode.NotFound => RepositoryError.NotFound,
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => RepositoryError.Refused,
        HttpStatusCode.InsufficientStorage => RepositoryError.Full,
        _ => e.ErrorCode is "QuotaExceeded" or "XMinioStorageFull" ? RepositoryError.Full : RepositoryError.Unavailable,
    };

    private sealed class TrustingFactory(string authorityFile) : HttpClientFactory
    {
        // Made once for a client, which asks for it at its first request.
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => new(RestBackend.Handler(authorityFile)) { Timeout = Longest };
    }
}
