using System.Text;
using CsCheck;
using Evenkeel.Backup.Crypto;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class CryptoTests
{
    [Fact]
    public void Poly1305_Rfc8439Section252_HasTheTagOfTheRfc()
    {
        var key = Convert.FromHexString("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
        var tag = new byte[16];
        Poly1305.ComputeTag(key, Encoding.ASCII.GetBytes("Cryptographic Forum Research Group"), tag);
        Assert.Equal("a8061dc1305136c6c22b8baf0c0127a9", Convert.ToHexStringLower(tag));
    }

    // RFC 8439, appendix A.3, vectors 7 to 11: the carries and the final reduction.
    [Theory]
    [InlineData("02000000000000000000000000000000", "00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "03000000000000000000000000000000")]
    [InlineData("02000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "02000000000000000000000000000000", "03000000000000000000000000000000")]
    [InlineData("01000000000000000000000000000000", "00000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff11000000000000000000000000000000", "05000000000000000000000000000000")]
    [InlineData("01000000000000000000000000000000", "00000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe01010101010101010101010101010101", "00000000000000000000000000000000")]
    [InlineData("02000000000000000000000000000000", "00000000000000000000000000000000", "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff")]
    public void Poly1305_Rfc8439AppendixA3_HasTheTagOfTheRfc(string r, string s, string message, string expected)
    {
        var tag = new byte[16];
        Poly1305.ComputeTag(Convert.FromHexString(r + s), Convert.FromHexString(message), tag);
        Assert.Equal(expected, Convert.ToHexStringLower(tag));
    }

    [Fact]
    public void Poly1305_VectorAndPortable_Agree() => Gen.Select(Gen.Byte.Array[32], Gen.Byte.Array[0, 3000], Gen.Bool).Sample((key, message, ones) =>
    {
        if (ones)
        {
            // All bits set drives every carry.
            Array.Fill(message, (byte)0xff);
        }
        byte[] vector = new byte[16], portable = new byte[16];
        Poly1305.ComputeTag(key, message, vector, allowVector: true);
        Poly1305.ComputeTag(key, message, portable, allowVector: false);
        return vector.SequenceEqual(portable);
    }, iter: 2000);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AesCounter_Sp80038aSectionF55_HasTheCiphertextOfTheStandard(bool vector)
    {
        using var cipher = new AesCounter(Convert.FromHexString("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"), vector);
        var plain = Convert.FromHexString("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
        var output = new byte[plain.Length];
        cipher.Transform(Convert.FromHexString("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), plain, output);
        Assert.Equal(
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
            Convert.ToHexStringLower(output));
    }

    [Fact]
    public void AesCounter_VectorAndPortable_AgreeAlsoWhereTheCounterWraps() =>
        Gen.Select(Gen.Byte.Array[32], Gen.Byte.Array[0, 700], Gen.Byte).Sample((key, content, low) =>
        {
            var iv = Enumerable.Repeat((byte)0xff, 15).Append(low).ToArray();
            byte[] a = new byte[content.Length], b = new byte[content.Length];
            using var vector = new AesCounter(key, allowVector: true);
            using var portable = new AesCounter(key, allowVector: false);
            vector.Transform(iv, content, a);
            portable.Transform(iv, content, b);
            return a.SequenceEqual(b);
        }, iter: 300);

    [Fact]
    public void Envelope_AnyFlippedBit_DoesNotOpen()
    {
        using var key = MasterKey.Generate();
        var envelope = key.Seal("content"u8);
        Assert.Equal("content"u8.ToArray(), key.TryOpen(envelope));
        for (var bit = 0; bit < envelope.Length * 8; bit++)
        {
            envelope[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Null(key.TryOpen(envelope));
            envelope[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        Assert.Null(key.TryOpen(envelope.AsSpan(0, 31)));
    }

    [Fact]
    public void KeyFile_OtherPasswords_DoNotOpenIt()
    {
        using var key = MasterKey.Generate();
        var file = KeyFile.Parse(KeyFile.Create(key, "right", "2026-01-02T03:04:05Z", "user", "host").ToBytes());
        using var opened = file.TryOpen("right");
        Assert.Equal(key.Encrypt, opened!.Encrypt);
        Assert.Null(file.TryOpen("wrong"));
    }

    [Fact]
    public void KeyFile_ThatAsksForGigabytes_IsRefused()
    {
        var bytes = """{"kdf":"scrypt","N":1073741824,"r":8,"p":1,"salt":"AAAA","data":"AAAA","created":"","username":"","hostname":""}"""u8.ToArray();
        Assert.Throws<Evenkeel.Backup.RepositoryException>(() => KeyFile.Parse(bytes));
    }

    [Theory]
    [InlineData("", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")]
    [InlineData("password", "NaCl", 1024, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")]
    public void Scrypt_Rfc7914Section12_DerivesTheKeysOfTheRfc(string password, string salt, int cost, int block, int parallel, string key)
    {
        Assert.True(Scrypt.IsNative, "OpenSSL was not found, and only the managed one would be tested");
        Assert.Equal(key, Convert.ToHexStringLower(Scrypt.Derive(password, Encoding.UTF8.GetBytes(salt), cost, block, parallel, 64)));
        Assert.Equal(key, Convert.ToHexStringLower(Scrypt.Managed(password, Encoding.UTF8.GetBytes(salt), cost, block, parallel, 64)));
    }
}
