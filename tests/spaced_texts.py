"""Ordinary prose in Korean and Indonesian, written for these tests: letters from a village, recipes, a walk."""

from __future__ import annotations

KOREAN = (
    "우리 마을에는 오래된 우물이 하나 있다. 아침이면 사람들이 물을 길으러 와서 서로 안부를 묻는다.",
    "할머니는 그 우물을 가장 좋아하신다. 젊었을 때 그곳에서 할아버지를 처음 만났기 때문이다.",
    "지난여름에는 비가 거의 오지 않아서 많은 사람들이 걱정을 했다. 하지만 우물은 한 번도 마르지 않았다.",
    "어머니는 장터에서 배추와 무를 사 오셨고, 저녁에는 온 가족이 모여 김치를 담갔다.",
    "소금에 절인 배추를 물에 씻은 뒤 양념을 고루 바르는 일은 생각보다 시간이 오래 걸린다.",
    "동생은 매운 냄새 때문에 눈물을 흘렸지만 끝까지 자리를 떠나지 않았다.",
    "그날 밤 우리는 갓 담근 김치와 따뜻한 밥을 함께 먹으며 옛날 이야기를 들었다.",
    "산 너머에 있는 작은 도서관은 토요일마다 문을 연다. 나는 그 길을 걸어서 한 시간이면 갈 수 있다.",
    "도서관에는 새 책이 많지 않다. 그래도 창가에 앉아 책을 읽는 시간은 나에게 무엇보다 소중하다.",
    "사서 선생님은 내가 좋아할 만한 책을 미리 골라 두셨다가 조용히 건네주신다.",
    "겨울이 되면 길이 얼어서 아무도 오지 않는 날도 있다. 그런 날에는 난로 옆에서 차를 마신다.",
    "올해 봄에는 다리가 새로 놓였다. 이제 강 건너 학교까지 가는 데 반 시간도 걸리지 않는다.",
    "아이들은 새 다리 위에서 물고기를 내려다보며 웃었고, 어른들은 그 모습을 보고 기뻐했다.",
    "나는 언젠가 이 마을의 이야기를 글로 쓰고 싶다. 그것은 아주 작은 이야기이지만 우리에게는 전부이다.",
)

INDONESIAN = (
    "Di ujung jalan ini ada sebuah rumah tua yang sudah lama kosong. Anak-anak sering bermain di halamannya.",
    "Nenek bercerita bahwa rumah itu dahulu milik seorang guru yang sangat dihormati oleh warga desa.",
    "Setiap sore guru itu duduk di beranda dengan secangkir kopi dan membaca surat dari murid-muridnya.",
    "Pada musim hujan sungai di belakang rumah meluap, tetapi air tidak pernah sampai ke pintu depan.",
    "Ibu memasak sayur asem untuk makan siang. Bau daun salam dan lengkuas tercium sampai ke kebun.",
    "Kami makan bersama di atas tikar, lalu ayah memperbaiki sepeda yang rusak sejak minggu lalu.",
    "Pasar pagi dibuka sebelum matahari terbit. Para pedagang datang dari lereng gunung membawa cabai dan kubis.",
    "Harga beras naik sedikit bulan ini, dan banyak orang memilih untuk menanam singkong di pekarangan.",
    "Adik saya senang menggambar perahu. Ia ingin menjadi pelaut dan pergi ke pulau yang jauh.",
    "Dari puncak bukit kita dapat melihat laut, jalan raya, dan atap sekolah yang baru dicat biru.",
    "Perpustakaan kecil di balai desa adalah tempat yang paling tenang. Buku dalam rak itu berasal dari sumbangan.",
    "Petugasnya ramah dan tahu buku apa yang cocok untuk setiap anak yang datang.",
    "Malam hari terdengar suara jangkrik, dan angin membawa bau tanah basah dari sawah.",
    "Saya berharap suatu hari dapat menulis kisah tentang desa ini, karena tidak ada tempat lain seperti ini.",
)
